#!/bin/sh
# librdkafka++ and its examples compiled over another librdkafka: its headers and its library. Environment: PREFIX (an installation), SOURCES (upstream's
# sources with src-cpp), EXAMPLES (upstream's examples), BOOTSTRAP, WORK.
set -u
command -v c++ > /dev/null || { echo "SKIP no C++ compiler"; exit 77; }
rm -rf "$WORK/cpp"; mkdir -p "$WORK/cpp/src" "$WORK/cpp/src-cpp"; cd "$WORK/cpp" || exit 1
cp "$SOURCES"/src-cpp/*.cpp "$SOURCES"/src-cpp/*.h src-cpp/
# Its sources name the C header, and what configure found, by their places.
cp "$SOURCES/config.h" .
cp "$PREFIX"/include/librdkafka/*.h src/
if c++ -w -O1 -shared -fPIC -o librdkafka++.so.1 -Wl,-soname,librdkafka++.so.1 src-cpp/*.cpp -L"$PREFIX/lib" -lrdkafka 2> build.log
then echo "ok library"; else echo "not ok library: $(grep -m1 error build.log)"; exit 1; fi
ln -sf librdkafka++.so.1 librdkafka++.so
export LD_LIBRARY_PATH="$PREFIX/lib:$PWD"
built=0
for source in "$EXAMPLES"/*.cpp; do
    name=$(basename "$source" .cpp)_cpp
    case $name in win_*) continue ;; esac # for Windows
    # Each names the C++ header without a folder, as beside it.
    if c++ -w -O1 -Isrc-cpp -Isrc -o "$name" "$source" -L. -lrdkafka++ -L"$PREFIX/lib" -lrdkafka -lpthread 2> build.log
    then built=$((built + 1)); else echo "not ok compile-$name: $(grep -m1 error build.log)"; fi
done
[ $built -gt 3 ] && echo "ok compile-$built-examples" || echo "not ok compile: only $built examples"
for source in "$EXAMPLES"/*.c; do
    name=$(basename "$source" .c)
    case $name in rdkafka_performance) continue ;; esac # it takes upstream's private headers
    cc -w -O1 -Isrc -o "$name" "$source" -L"$PREFIX/lib" -lrdkafka -lpthread -lm 2> build.log || echo "not ok compile-$name: $(grep -m1 error build.log)"
done
topic=cpp-$$
check() { case $3 in *"$2"*) echo "ok $1" ;; *) echo "not ok $1: no [$2] in [$(printf %s "$3" | tail -3 | tr '\n' '|')]" ;; esac; }
check produce "Message delivery for (3 bytes): Persisted: Success" "$(printf 'one\ntwo\n' | timeout 30 ./rdkafka_example_cpp -P -t $topic -p 0 -b "$BOOTSTRAP" 2>&1)"
check metadata "$topic" "$(timeout 30 ./rdkafka_example_cpp -L -t $topic -b "$BOOTSTRAP" 2>&1)"
check consume "two" "$(timeout 30 ./rdkafka_example_cpp -C -t $topic -p 0 -o beginning -e -b "$BOOTSTRAP" 2>&1)"
check group "two" "$(timeout 30 ./rdkafka_complex_consumer_example_cpp -g group-$topic -b "$BOOTSTRAP" -e -X auto.offset.reset=earliest $topic 2>&1)"
check c-producer "Message delivered" "$(printf 'one\n' | timeout 30 ./producer "$BOOTSTRAP" $topic 2>&1)"
check c-consumer "Message on $topic" "$(timeout -s INT 15 ./consumer "$BOOTSTRAP" group-c-$topic classic $topic 2>&1)"
check c-describe-cluster "Cluster id" "$(timeout 30 ./describe_cluster -b "$BOOTSTRAP" 0 2>&1)"
check c-list-groups "group-$topic" "$(timeout 30 ./list_consumer_groups -b "$BOOTSTRAP" 0 0 2>&1)"
