# SPDX-License-Identifier: Apache-2.0
# Reads Kconfig and, if there is one, a .config; writes what MODE says. For any POSIX awk.
#
#   awk -f kconfig.awk -v mode=MODE [-v seed=N] [-v header=FILE -v makefile=FILE] Kconfig [.config]
#
#   build          config.h into header and config.mk into makefile; any doubt about the .config is an error
#   olddefconfig   the .config brought up to date, on stdout; what cannot stay is dropped with a warning
#   oldconfig      the same, and the symbols that are new are named
#   savedefconfig  the lines of the .config that differ from the defaults
#   defconfig allyesconfig allnoconfig randconfig   a new .config; the random one is the same for the same seed
#   guest_defconfig host_defconfig                  the same as defconfig, without the other side's proxy
#
# The language, a subset of the real one (an error beyond it, so that the real tools always agree with this one):
#   mainmenu "T"   menu "T"   endmenu   comment "T"
#   config NAME, then: bool ["T"]  int ["T"]  string ["T"]  prompt "T"  default V  range LOW HIGH  depends on A && B  help
# Each symbol has a type, a prompt and (but for bool) a default, each int a range; LOW and HIGH may be ints' names. Symbols are
# defined before they are referred to. VIOS_X is the applet vios-x. Lines may end as those of DOS do.

function complain(text) {
    print text | "cat >&2"
}

function fail(text) {
    complain(where ": " text)
    failed = 1
    exit 1
}

# A .config that is brought up to date may be wrong; one that is built may not.
function doubt(text) {
    if (mode == "build")
        fail(text)
    complain(where ": warning: " text)
}

function is_quoted(v) { return v ~ /^"([^"\\]|\\.)*"$/ }

function is_type(t, v) {
    if (t == "bool")
        return v == "y" || v == "n"
    return t == "int" ? v ~ /^(0|[1-9][0-9]*)$/ : is_quoted(v)
}

function once(attribute) {
    if (!symbol)
        fail(attribute " belongs into a config")
    if ((symbol, attribute) in seen)
        fail(symbol " has a second " attribute)
    seen[symbol, attribute] = 1
}

function set_prompt(text) {
    once("prompt")
    if (!is_quoted(text))
        fail("a text in quotes is expected: " text)
}

function set_depends(text,    i, n, part) {
    once("depends")
    n = split(text, part, /[ \t]*&&[ \t]*/)
    for (i = 1; i <= n; i++)
        if (!(part[i] in type) || part[i] == symbol || type[part[i]] != "bool")
            fail("depends on " part[i] ", which is no bool defined above")
    depends[symbol] = text
}

function set_range(limits,    i, part) {
    once("range")
    if (split(limits, part, /[ \t]+/) != 2)
        fail("range LOW HIGH is expected")
    for (i = 1; i <= 2; i++)
        if (!is_type("int", part[i]) && (part[i] == symbol || type[part[i]] != "int"))
            fail(part[i] " is neither a number nor an int defined above")
    low[symbol] = part[1]
    high[symbol] = part[2]
}

# What the language cannot say of a string: what is wrong with it, or "".
function bad_string(s, v) {
    v = substr(v, 2, length(v) - 2)
    if (s ~ /_DIRECTORY$/ && v !~ /^\//)
        return "an absolute path"
    if (s == "LOG_LEVEL" && toupper(v) !~ /^(FATAL|ALERT|ERROR|WARN|NOTICE|INFO|DEBUG)$/)
        return "one of FATAL ALERT ERROR WARN NOTICE INFO DEBUG"
    return ""
}

# All of a symbol has been read.
function end_symbol(    s) {
    s = symbol
    if (!s)
        return
    if (!((s, "type") in seen) || !((s, "prompt") in seen))
        fail("config " s " above needs a type and a prompt")
    if (type[s] == "bool" && !((s, "default") in seen))
        preset[s] = "n"
    if (!is_type(type[s], preset[s]))
        fail("config " s " above needs a default that is a valid " type[s])
    if ((type[s] == "int") != ((s, "range") in seen))
        fail("config " s " above: an int needs a range, and nothing else may have one")
    symbol = ""
}

function indent_of(line,    i, n, c) {
    for (i = 1; (c = substr(line, i, 1)) == " " || c == "\t"; i++)
        n += c == "\t" ? 8 - n % 8 : 1
    return n + 0
}

function read_item(word, rest) {
    end_symbol()
    if (word == "config") {
        if (rest !~ /^[A-Z][A-Z0-9_]*$/)
            fail("a symbol's name is expected: " rest)
        if (rest in type)
            fail(rest " is defined twice")
        symbol = rest
        type[symbol] = ""
        order[++symbols] = symbol
        return
    }
    if (word == "endmenu" ? rest != "" || depth-- == 0 : !is_quoted(rest))
        fail("unexpected: " word " " rest)
    if (word == "menu") {
        depth++
        title[symbols + 1] = substr(rest, 2, length(rest) - 2)
    }
}

function read_attribute(word, rest) {
    if (word == "bool" || word == "int" || word == "string") {
        once("type")
        type[symbol] = word
        if (rest != "")
            set_prompt(rest)
    } else if (word == "prompt") {
        set_prompt(rest)
    } else if (word == "default") {
        once("default")
        preset[symbol] = rest
    } else if (word == "range") {
        set_range(rest)
    } else if (word == "depends" && sub(/^on[ \t]+/, "", rest)) {
        set_depends(rest)
    } else if (word == "help" && rest == "") {
        once("help")
        in_help = 1
        help_indent = 0
    } else {
        fail("unknown syntax: " $0)
    }
}

# A line of Kconfig. Help goes on until a line stands further left than its first one.
function read_kconfig(line,    word) {
    if (in_help && line !~ /^[ \t]*$/) {
        if (!help_indent)
            help_indent = indent_of(line)
        in_help = help_indent && indent_of(line) >= help_indent
    }
    if (in_help || line ~ /^[ \t]*(#|$)/)
        return
    gsub(/^[ \t]+|[ \t]+$/, "", line)
    word = line
    sub(/[ \t].*/, "", word)
    line = substr(line, length(word) + 1)
    sub(/^[ \t]+/, "", line)
    if (word ~ /^(mainmenu|menu|endmenu|comment|config)$/)
        read_item(word, line)
    else
        read_attribute(word, line)
}

# A line of .config.
function read_config(line,    s, v) {
    if (line ~ /^# CONFIG_[A-Za-z0-9_]+ is not set$/) {
        s = substr(line, 10, length(line) - 20)
        v = "n"
    } else if (line ~ /^CONFIG_[A-Za-z0-9_]+=/) {
        s = substr(line, 8, index(line, "=") - 8)
        v = substr(line, index(line, "=") + 1)
    } else {
        if (line !~ /^(#|$)/)
            doubt("neither CONFIG_X=V nor # CONFIG_X is not set: " line)
        return
    }
    if (!(s in type)) {
        doubt("unknown symbol CONFIG_" s)
    } else if (!is_type(type[s], v)) {
        doubt("CONFIG_" s " must be " (type[s] == "bool" ? "y or n" : type[s] == "int" ? "a number" : "a text in quotes"))
    } else if (type[s] == "string" && bad_string(s, v)) {
        doubt("CONFIG_" s " must be " bad_string(s, v) ": " v)
    } else {
        if (s in given)
            doubt("CONFIG_" s " is set a second time")
        given[s] = v
        place[s] = where
    }
}

function random(n) {
    seed = seed * 16807 % 2147483647
    return int(seed / 2147483647 * n)
}

function limit(v) { return v in value ? value[v] : v }

function clamp(s, v,    l, h) {
    l = limit(low[s])
    h = limit(high[s])
    return v + 0 < l + 0 ? l : v + 0 > h + 0 ? h : v
}

function choose_bool(s) {
    if (mode == "allyesconfig")
        return "y"
    if (mode == "guest_defconfig" && s == "VIOS_PROXY_HOST" || mode == "host_defconfig" && s == "VIOS_PROXY_GUEST")
        return "n"
    if (mode == "allnoconfig")
        return "n"
    if (mode == "randconfig")
        return s == lucky || random(2) ? "y" : "n"
    return s in given ? given[s] : preset[s]
}

function choose_int(s,    v) {
    v = clamp(s, preset[s])
    if (mode == "randconfig")
        return limit(low[s]) + random(limit(high[s]) - limit(low[s]) + 1)
    if (!(s in given))
        return v
    if (given[s] == clamp(s, given[s]))
        return given[s]
    where = place[s]
    doubt("CONFIG_" s "=" given[s] " is out of range " limit(low[s]) ".." limit(high[s]))
    return v
}

function is_met(s,    i, n, part) {
    n = split(depends[s], part, /[ \t]*&&[ \t]*/)
    for (i = 1; i <= n; i++)
        if (value[part[i]] != "y")
            return 0
    return 1
}

# Every symbol gets a value. A dependency that is not met turns a bool off; other symbols then keep their default.
function choose(s) {
    met[s] = is_met(s)
    if (type[s] == "bool")
        value[s] = met[s] ? choose_bool(s) : "n"
    else if (type[s] == "int")
        value[s] = met[s] ? choose_int(s) : clamp(s, preset[s])
    else
        value[s] = met[s] && s in given ? given[s] : preset[s]
    if (mode == "oldconfig" && met[s] && !(s in given))
        complain("new: " config_line(s))
}

function choose_lucky(    i, n, applet) {
    for (i = 1; i <= symbols; i++)
        if (order[i] ~ /^VIOS_/)
            applet[++n] = order[i]
    seed = (seed < 0 ? -seed : seed) % 2147483646 + 1
    for (i = 0; i < 10; i++)
        random(2)
    lucky = applet[1 + random(n)]
}

function config_line(s) {
    return type[s] == "bool" && value[s] == "n" ? "# CONFIG_" s " is not set" : "CONFIG_" s "=" value[s]
}

function write_build(    i, s, name, features) {
    printf "APPLETS :=" > makefile
    printf "" > header
    for (i = 1; i <= symbols; i++) {
        s = order[i]
        print "#define CONFIG_" s " " (type[s] == "bool" ? (value[s] == "y") : value[s]) > header
        if (s ~ /^VIOS_/ && value[s] == "y") {
            name = tolower(s)
            gsub(/_/, "-", name)
            printf " %s", name > makefile
        }
        if (s ~ /^FEATURE_/ && value[s] == "y")
            features = features " " substr(s, 9)
    }
    print "\nFEATURES :=" features > makefile
}

function write_config(    i, s) {
    print "# vios: written by make " mode "; see Kconfig"
    for (i = 1; i <= symbols; i++) {
        s = order[i]
        if (i in title)
            print "\n#\n# " title[i] "\n#"
        if (met[s])
            print config_line(s)
    }
}

function write_difference(    i, s) {
    for (i = 1; i <= symbols; i++) {
        s = order[i]
        if (met[s] && value[s] != (type[s] == "int" ? clamp(s, preset[s]) : preset[s]))
            print config_line(s)
    }
}

function end_kconfig() {
    end_symbol()
    if (depth)
        fail("a menu has no endmenu")
}

FNR == 1 && ++files == 2 { end_kconfig() }
{ where = FILENAME ":" FNR; sub(/\r$/, "") }
files == 1 { read_kconfig($0) }
files == 2 && mode !~ /^((guest_|host_)?def|allyes|allno|rand)config$/ { read_config($0) }

END {
    if (failed)
        exit 1
    if (files == 1)
        end_kconfig()
    if (mode == "randconfig")
        choose_lucky()
    for (i = 1; i <= symbols; i++)
        choose(order[i])
    if (mode == "build")
        write_build()
    else if (mode == "savedefconfig")
        write_difference()
    else
        write_config()
}
