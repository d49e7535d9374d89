# Exit codes and words of `mitu-sim scenario`: cmake -DMITU_SIM=PATH -P scenario_command_test.cmake
cmake_policy(VERSION 3.25)

# check(EXIT_CODE REGEX ARGUMENTS...): stdout and stderr together match REGEX
function(check exit_code regex)
    execute_process(COMMAND ${MITU_SIM} scenario ${ARGN}
        WORKING_DIRECTORY ${CMAKE_CURRENT_LIST_DIR}/testing
        OUTPUT_VARIABLE output ERROR_VARIABLE errors RESULT_VARIABLE result)
    if(NOT result STREQUAL exit_code)
        message(SEND_ERROR "mitu-sim scenario ${ARGN}: exit code ${result}, not ${exit_code}\n${output}${errors}")
    endif()
    if(NOT "${output}${errors}" MATCHES "${regex}")
        message(SEND_ERROR "mitu-sim scenario ${ARGN}: printed no ${regex}\n${output}${errors}")
    endif()
endfunction()

check(0 "ok    kept_promise.*1 scenarios over virtual: 1 kept, 0 broken" kept_promise.scn)
check(0 "a        <- pingresp" --verbose kept_promise.scn)
check(0 "\"scenario\":\"kept_promise\".*\"passed\":true.*\"failed\":0" --json kept_promise.scn)
check(1 "FAIL  broken_promise.*broken_promise.scn:4: expect a publish t \"goodbye\".*payload is \"hello\", not \"goodbye\"" broken_promise.scn)
check(1 "again: mitu-sim scenario --verbose broken_promise.scn" broken_promise.scn)
check(1 "ok    kept_promise.*2 scenarios over virtual: 1 kept, 1 broken" --jobs=2 broken_promise.scn kept_promise.scn)
check(1 "\"passed\":false.*\"line\":4" --json broken_promise.scn)
# Every mistake at once, and nothing is played.
check(2 "mistake.scn:1: connect knows no keepalive; did you mean keep_alive.*mistake.scn:2: nobody is called \"b\"" mistake.scn kept_promise.scn)
check(2 "nowhere.scn is not there" nowhere.scn)
check(2 "over" --over=carrier-pigeon kept_promise.scn)
check(1 "the server does not start: /nowhere/mitud cannot be run; name the server with --mitud" --over=tcp --mitud=/nowhere/mitud kept_promise.scn)
