# scripts/run-tests: what it counts of what programs say, of each version of cmocka.
load helper

setup_file() { teardown_all && mkdir -p "$E2E/tests/unit"; }
teardown_file() { teardown_all; }

# program NAME EXIT: a test program that says what comes in.
program() {
    { printf '#!/bin/sh\ncat <<"END"\n'; cat; printf 'END\nexit %d\n' "$2"; } >"$E2E/tests/unit/$1"
    chmod +x "$E2E/tests/unit/$1"
}

@test "each failure is counted and named once, whichever cmocka says so" {
    local name
    # cmocka 1.1.5, and from 1.1.7 on
    for name in '' 'tests: '; do
        program test_some 2 <<END
[==========] tests: Running 3 test(s).
[ RUN      ] one
[       OK ] one
[ RUN      ] two
[  FAILED  ] two
[ RUN      ] three
[  FAILED  ] three
[==========] tests: 3 test(s) run.
[  PASSED  ] 1 test(s).
[  FAILED  ] ${name}2 test(s), listed below:
[  FAILED  ] two
[  FAILED  ] three

 2 FAILED TEST(S)
END
        run env BUILD="$E2E" "$ROOT/scripts/run-tests" unit
        echo "$output"
        [ "$status" -ne 0 ]
        [ "${lines[-1]}" = "1 passed, 2 failed" ]
        [ "$(grep -c '^ *unit/test_some: ' <<<"$output")" -eq 2 ]
        [[ $output != *"but then"* ]]
    done
    program test_some 0 <<'END'
[==========] tests: 2 test(s) run.
[  PASSED  ] 2 test(s).
[==========] more: 1 test(s) run.
[  PASSED  ] more: 1 test(s).
END
    run env BUILD="$E2E" "$ROOT/scripts/run-tests" unit
    [ "$status" -eq 0 ]
    [ "${lines[-1]}" = "3 passed, 0 failed" ]
}

@test "a program that ends early, or badly after its last test, has failed" {
    program test_some 1 <<<'[ RUN      ] one'
    run env BUILD="$E2E" "$ROOT/scripts/run-tests" unit
    [ "$status" -ne 0 ]
    [ "${lines[-1]}" = "0 passed, 1 failed" ]
    program test_some 23 <<<'[  PASSED  ] 1 test(s).'
    run env BUILD="$E2E" "$ROOT/scripts/run-tests" unit
    [ "$status" -ne 0 ]
    [ "${lines[-1]}" = "1 passed, 1 failed" ]
    [[ $output == *"every test passed, but then: exit code 23"* ]]
}
