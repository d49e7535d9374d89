#pragma once
// The host names of the tests: names.cpp stands in for the system's resolver, so that no test needs
// a network or a hosts file.
//   one.test, other.test   127.0.0.1
//   two.test               127.0.0.2, where nobody listens, then 127.0.0.1
//   slow.test              127.0.0.1, once a SlowNames is gone
//   anything else          does not exist

namespace mitu::http::testing {

/// While it lives, who asks for slow.test waits.
class SlowNames {
public:
    SlowNames();
    ~SlowNames();
    SlowNames(const SlowNames&) = delete;
    SlowNames& operator=(const SlowNames&) = delete;
};

}  // namespace mitu::http::testing
