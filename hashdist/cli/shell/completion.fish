function __hdist_complete
    set -l before (commandline -opc)
    for line in (hdist --complete $before[2..-1] (commandline -ct) 2>/dev/null)
        if test "$line" = ":files"
            __fish_complete_path (commandline -ct)
        else
            echo $line
        end
    end
end
complete -c hdist -f -a "(__hdist_complete)"
