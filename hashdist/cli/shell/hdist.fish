# The hdist function of fish: load and unload change the shell, all else is the program's.
# A profile that was checked out before is loaded without starting a program.

function hdist
    if not contains -- "$argv[1]" load unload; or string match -q -- '-*' $argv
        command $_hdist_program $argv
        return
    end
    set -l verb $argv[1]
    set -l names $argv[2..-1]
    test (count $names) -gt 0; or set names ''
    for name in $names
        if test $verb = load
            _hdist_find $name
            set -l code $status
            if test $code -ne 0
                set -e _hdist_name _hdist_prefix
                return $code
            end
            source $_hdist_prefix/bin/activate.fish
        else
            _hdist_out $name; or return
        end
    end
    set -e _hdist_prefix
    return 0
end

# _hdist_find NAME: where its prefix lies, in _hdist_prefix; '' is the current checkout
function _hdist_find
    set -l store $HOME/.hashdist
    test -n "$HDIST_STORE"; and set store $HDIST_STORE
    set -g _hdist_name "$argv[1]"
    set -l commit
    if test -z "$argv[1]"
        set -g _hdist_name HEAD
        set -l ref
        test -r $store/git/HEAD; and read ref <$store/git/HEAD
        string match -q 'ref: refs/heads/*' -- "$ref"; and set -g _hdist_name (string replace 'ref: refs/heads/' '' -- $ref)
        if test -r $store/current/bin/activate.fish
            set -g _hdist_prefix $store/current
            return
        end
    else if string match -q -r -- '^(/|\./|\.\./|\.\.?$)' $argv[1]
        # the script knows its own prefix, and a name for it
        set -e _hdist_name
        set -g _hdist_prefix $argv[1]
        if test -r $argv[1]/bin/activate.fish; and test -r $argv[1]/.hashdist.json
            return
        end
    else if string match -q -r -- '^[A-Za-z0-9._/+-]+$' $argv[1]; and not string match -q -- '*..*' $argv[1]
        if test -f $store/git/refs/heads/$argv[1]
            read commit <$store/git/refs/heads/$argv[1]
        else if test -f $store/git/packed-refs
            while read -l hash ref
                if test "$ref" = refs/heads/$argv[1]
                    set commit $hash
                    break
                end
            end <$store/git/packed-refs
        end
    end
    if test -n "$commit"; and test -f $store/index/prefix/$commit
        read -l format hash <$store/index/prefix/$commit
        set -g _hdist_prefix $store/prefixes/$hash
        if test "$format" = 2; and test -r $_hdist_prefix/bin/activate.fish
            return
        end
    end
    # not checked out yet, or no plain name: the program knows
    set -l found (command $_hdist_program env --label $argv[1])
    or return
    set -g _hdist_name (string split -m1 -- ' ' $found)[1]
    set -g _hdist_prefix (string split -m1 -- ' ' $found)[2]
    test -r $_hdist_prefix/bin/activate.fish
end

# _hdist_out NAME|PREFIX: '' is the last one loaded
function _hdist_out
    if string match -q -r -- '^(/|\./|\.\./|\.\.?$)' $argv[1]; and test -r $argv[1]/bin/deactivate.fish; and test -r $argv[1]/.hashdist.json
        source $argv[1]/bin/deactivate.fish
        return
    end
    for one in (string split -- : "$HDIST_LOADED")
        set -l parts (string split -m1 -- ' ' "$one")
        if test -n "$one"; and begin; test -z "$argv[1]"; or test "$parts[1]" = "$argv[1]"; or test "$parts[2]" = "$argv[1]"; end
            if test -r $parts[2]/bin/deactivate.fish
                source $parts[2]/bin/deactivate.fish
            else
                set -l text (command $_hdist_program env --shell fish --unload $parts[2])
                or return
                printf '%s\n' $text | source
            end
            return
        end
    end
    if test -n "$argv[1]"
        echo "hdist: $argv[1] is not loaded" >&2
    else
        echo "hdist: nothing is loaded" >&2
    end
    echo "hint: hdist loaded" >&2
    return 1
end
