#pragma once
// How a socket travels in a ports::DetachedConnection.

#include <cstdint>

namespace mitu::runtime {

// Handle 0 stands for "no connection", and 0 is a descriptor.
constexpr std::uint64_t to_handle(int fd) noexcept { return static_cast<std::uint64_t>(fd) + 1; }
constexpr int to_fd(std::uint64_t handle) noexcept { return static_cast<int>(handle) - 1; }

}  // namespace mitu::runtime
