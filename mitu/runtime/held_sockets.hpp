#pragma once
// HeldSockets: listening sockets that outlive the process that serves them.

#include <cstddef>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "mitu/runtime/unique_fd.hpp"

namespace mitu::runtime {

/// What a supervisor holds, as seen by who serves: sockets by name, which stand open whether or not
/// anybody accepts. Without a supervisor nothing is held, and everything is opened anew.
/// Threading  one at a time.
class HeldSockets {
public:
    struct Holder {
        /// Holds these too, from now on. They stay the caller's.
        std::function<void(const std::string& name, std::span<const UniqueFd> sockets)> keep;
        /// Closes those of that name; has done so on return.
        std::function<void(const std::string& name)> forget;
        /// The same, soon: does not wait for it.
        std::function<void(const std::string& name)> let_go;
    };

    HeldSockets() = default;
    explicit HeldSockets(Holder holder) : holder_{std::move(holder)} {}
    HeldSockets(const HeldSockets&) = delete;
    HeldSockets& operator=(const HeldSockets&) = delete;

    /// The holder has handed them over.
    void add(const std::string& name, std::vector<UniqueFd> sockets);
    /// Those of that name. Shape  empty: there are none; open them, and say keep().
    [[nodiscard]] std::vector<UniqueFd> take(const std::string& name);
    void keep(const std::string& name, std::span<const UniqueFd> sockets);
    /// What has none of these names is closed everywhere: nobody serves it any more.
    void forget_all_but(const std::vector<std::string>& names);
    /// Those are served no more while the others are: the holder closes them, soon.
    void let_go(const std::string& name);
    /// Whether somebody else holds what this process serves.
    [[nodiscard]] bool has_holder() const noexcept { return holder_.keep != nullptr; }

private:
    Holder holder_;
    std::map<std::string, std::vector<UniqueFd>> sockets_;
};

}  // namespace mitu::runtime
