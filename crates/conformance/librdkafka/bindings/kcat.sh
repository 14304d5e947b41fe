#!/bin/sh
# kcat, as Debian built it, on another librdkafka.so.1. Environment: LIBRARY (its folder), BOOTSTRAP, WORK (a folder that is kept).
# Prints `ok NAME` or `not ok NAME: WHY` for each check; `SKIP WHY` and 77 where the machine lacks something.
set -u
kcat=$(command -v kcat)
if [ -z "$kcat" ]; then
    command -v apt-get > /dev/null || { echo "SKIP no kcat"; exit 77; }
    (cd "$WORK" && apt-get download kcat libyajl2 libserdes1 libavro23 && for package in *.deb; do dpkg -x "$package" root; done) > /dev/null 2>&1
    kcat=$WORK/root/usr/bin/kcat
    [ -x "$kcat" ] || { echo "SKIP no kcat, and apt-get does not bring it"; exit 77; }
fi
export LD_LIBRARY_PATH="$LIBRARY:$WORK/root/usr/lib/x86_64-linux-gnu"
ldd "$kcat" | grep -q "librdkafka.so.1 => $LIBRARY/" || { echo "not ok library: kcat does not load $LIBRARY/librdkafka.so.1"; exit 1; }
topic=kcat-$$

run() { timeout 60 "$kcat" -b "$BOOTSTRAP" "$@" 2> "$WORK/kcat.err"; }
check() { # NAME EXPECTED ACTUAL
    if [ "$2" = "$3" ]; then echo "ok $1"; else
        echo "not ok $1: expected [$(printf %s "$2" | tr '\n' '|')] got [$(printf %s "$3" | tr '\n' '|')] $(tail -1 "$WORK/kcat.err")"
    fi
}

printf 'k1:v1\nk2:v2\n:v3\n' | run -P -t "$topic" -p 0 -K: -H a=b -H c=d
check produce 0 $?
check consume "$topic/0/0/k1/2/v1/2/a=b,c=d
$topic/0/1/k2/2/v2/2/a=b,c=d
$topic/0/2//0/v3/2/a=b,c=d" "$(run -C -t "$topic" -p 0 -o beginning -e -q -f '%t/%p/%o/%k/%K/%s/%S/%h\n')"
check from-offset 'v2
v3' "$(run -C -t "$topic" -p 0 -o 1 -e -q)"
check tail v3 "$(run -C -t "$topic" -p 0 -o -1 -e -q)"
check count 'v1
v2' "$(run -C -t "$topic" -p 0 -o beginning -c 2 -q)"
check timestamp 3 "$(run -C -t "$topic" -p 0 -o beginning -e -q -f '%T\n' | grep -c '^1[0-9]\{12\}$')"
check json 3 "$(run -C -J -t "$topic" -p 0 -o beginning -e -q | grep -c '"topic":"'"$topic"'","partition":0,"offset":[0-9]')"
check unpack 1 "$(printf 'abcd' | run -P -t "$topic-bytes" -p 0 && run -C -t "$topic-bytes" -p 0 -o beginning -e -q -f '%s %R%S\n' | grep -ac '^abcd')"
check query "$topic [0] offset 3" "$(run -Q -t "$topic:0:-1")"
check query-beginning "$topic [0] offset 0" "$(run -Q -t "$topic:0:1")"
check group 'v1
v2
v3' "$(run -G "group-$topic" -X auto.offset.reset=earliest -e -q -f '%s\n' "$topic" | sort)"
check group-again '' "$(run -G "group-$topic" -X auto.offset.reset=earliest -e -q -f '%s\n' "$topic" | sort)"
check list 1 "$(run -L -t "$topic" | grep -c "topic \"$topic\" with [0-9]* partitions:")"
check list-json 1 "$(run -L -J -t "$topic" | grep -c '"topics":\[{"topic":"'"$topic"'"')"
for codec in gzip snappy lz4 zstd; do
    yes 0123456789 | head -5000 | run -P -t "$topic-$codec" -p 0 -z "$codec"
    check "$codec" 5000 "$(run -C -t "$topic-$codec" -p 0 -o beginning -e -q | grep -c '^0123456789$')"
done
printf 'x' | run -P -t "$topic" -p 0 -X no.such.property=1
check unknown-property 1 "$(grep -c 'No such configuration property: "no.such.property"' "$WORK/kcat.err")"
