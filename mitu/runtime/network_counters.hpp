#pragma once
// What a ServerNetwork counts. The shard writes, a scraper reads.

#include "mitu/trace/counter.hpp"

namespace mitu::runtime {

struct NetworkCounters {
    trace::Counter connections;  // gauge: open and lingering
    trace::Counter lingering;    // gauge: closed here, still draining
    trace::Counter accepted_total;
    trace::Counter attached_total;
    trace::Counter detached_total;
    trace::Counter refused_limit_total;     // over the connection limit: accepted and closed
    trace::Counter refused_no_files_total;  // no file descriptor left: accepted and closed
    trace::Counter accept_pauses_total;     // times that a listener rested for want of resources
    trace::Counter linger_cut_total;        // lingering connections closed before their end
    trace::Counter received_bytes_total;
    trace::Counter sent_bytes_total;
    trace::Counter reads_total;           // system calls
    trace::Counter writes_total;          // system calls
    trace::Counter writes_blocked_total;  // a write that found the socket full
    trace::Counter polls_total;
};

}  // namespace mitu::runtime
