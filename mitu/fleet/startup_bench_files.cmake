# Writes COUNT policy templates into DIRECTORY, each a file of its own, as a large site would have:
# startup_bench reads them embedded and from there.
file(REMOVE_RECURSE ${DIRECTORY})
math(EXPR last "${COUNT} - 1")
foreach(i RANGE ${last})
    math(EXPR interval "10 + ${i} % 50")
    file(WRITE ${DIRECTORY}/site-${i}.yaml "kind: Policy
name: site-${i}
description: Policy of one device class at one site
selector: {tenant: default, class: class-${i}}
heartbeat: {interval: ${interval}s, timeout: 5m}
limits:
  message_rate: {per_second: 20, burst: 100}
  payload_bytes_max: 16384
  queue_messages_max: 200
  queue_bytes_max: 262144
access:
  publish:
    allow:
      - \"t/\${device}/#\"
      - \"$mitu/things/\${device}/shadow/name/+/get\"
      - \"$mitu/things/\${device}/shadow/name/+/update\"
  subscribe:
    allow:
      - \"c/\${device}/#\"
      - \"b/\${class}/#\"
      - \"$mitu/things/\${device}/shadow/name/+/#\"
settings:
  telemetry_interval_s: ${interval}
  setpoint_c: 21.0
  night: {from: \"22:00\", to: \"06:00\", setpoint_c: 17.0}
")
endforeach()
file(WRITE ${STAMP} "${COUNT}\n")
