# fish 3. The rule is that of hashdist/environment/loading.py. No program is started.

# _hdist_put VARIABLE VALUE
function _hdist_put
    if test $argv[1] = fish_complete_path
        set -g $argv[1] (string split -- : $argv[2])
    else if string match -q -- '*PATH' $argv[1]
        set -gx $argv[1] (string split -- : $argv[2])
    else
        set -gx $argv[1] $argv[2]
    end
end

# _hdist_without VALUE ENTRY: prints the value without the entry; false if it is not in it
function _hdist_without
    set -l parts (string split -m1 -- ":$argv[2]:" ":$argv[1]:")
    or return 1
    string sub -s 2 -e -1 -- "$parts[1]:$parts[2]"
end

# _hdist_add VARIABLE ENTRY DEFAULT
function _hdist_add
    set -l value (string join -- : $$argv[1])
    if test -n "$value"
        if test $argv[1] != fish_complete_path; and not set -qx $argv[1]; and not string match -q -- "*:$argv[1]=*" ":$HDIST_BASE"
            _hdist_record $argv[1] local
        end
        _hdist_put $argv[1] "$argv[2]:$value"
        return
    end
    set -l state unset
    set -q $argv[1]; and set state empty
    test $argv[1] != fish_complete_path; and _hdist_record $argv[1] $state
    _hdist_put $argv[1] "$argv[2]$argv[3]"
end

# _hdist_record VARIABLE STATE: what it was before, in HDIST_BASE
function _hdist_record
    set -l base "$HDIST_BASE"
    for state in unset empty
        set -l left (_hdist_without "$base" "$argv[1]=$state"); and set base "$left"
    end
    test -n "$base"; and set base ":$base"
    set -gx HDIST_BASE "$argv[1]=$argv[2]$base"
end

# _hdist_remove VARIABLE ENTRY DEFAULT
function _hdist_remove
    set -l value (string join -- : $$argv[1])
    set -l left (_hdist_without "$value" $argv[2])
    or return 0
    _hdist_put $argv[1] "$left"
    if test -z "$left"; or test ":$left" = "$argv[3]"
        if set -l base (_hdist_without "$HDIST_BASE" "$argv[1]=unset")
            set -e $argv[1]
            set -gx HDIST_BASE "$base"
        else if set -l base (_hdist_without "$HDIST_BASE" "$argv[1]=empty")
            set -gx $argv[1] ''
            set -gx HDIST_BASE "$base"
        end
    end
end

# _hdist_unload PREFIX
function _hdist_unload
@UNLOAD@
    for one in (string split -- : "$HDIST_LOADED")
        if test (string replace -r -- '^\S* ' '' "$one") = "$argv[1]"
            set -gx HDIST_LOADED (_hdist_without "$HDIST_LOADED" "$one")
        end
    end
    if test -z "$HDIST_LOADED"
        for one in (string match -- '*=local' (string split -- : "$HDIST_BASE"))
            set -l name (string replace -- =local '' $one)
            set -q $name; and set -gu $name $$name
        end
        set -e HDIST_LOADED
        set -e HDIST_BASE
    end
    return 0
end

# _hdist_load NAME PREFIX: make room for it; false if it was loaded last
function _hdist_load
    set -l there (string split -- : "$HDIST_LOADED")
    test (string replace -r -- '^\S* ' '' "$there[1]") = "$argv[2]"; and return 1
    for one in $there
        set -l parts (string split -m1 -- ' ' "$one")
        if test -z "$one"
            continue
        else if test "$parts[2]" = "$argv[2]"
            _hdist_unload $argv[2]
        else if test "$parts[1]" = "$argv[1]"; and test (string replace -r -- '/[^/]*$' '' $parts[2]) = (string replace -r -- '/[^/]*$' '' $argv[2])
            _hdist_unload $parts[2]
        end
    end
    return 0
end

function _hdist_done
    set -e _hdist_name
    functions -e _hdist_put _hdist_without _hdist_record _hdist_add _hdist_remove _hdist_unload _hdist_load _hdist_done
end
