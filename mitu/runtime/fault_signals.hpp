#pragma once
// SIGSEGV and SIGBUS: inside a fault zone they cost one session, anywhere else the process.

#include <cstddef>
#include <memory>

namespace mitu::runtime {

/// From now on a bad access inside a fault zone (memory/fault_zone.hpp) leaves the zone. Outside of
/// one a line on stderr says where it was, and then happens what happened before: the process
/// stops, with its core, or a sanitizer tells. A signal that somebody sent is never taken for an
/// access.
/// Threading  once, before there are threads; holds for all.
void install_fault_signals();

/// A stack for the handler of the calling thread, so that a zone that has run out of its own can be
/// left too.
/// Threading  made and destroyed by the thread that it is for.
class FaultStack {
public:
    FaultStack();
    ~FaultStack();
    FaultStack(const FaultStack&) = delete;
    FaultStack& operator=(const FaultStack&) = delete;

private:
    std::unique_ptr<std::byte[]> memory_;
};

}  // namespace mitu::runtime
