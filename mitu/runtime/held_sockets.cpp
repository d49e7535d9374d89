#include "mitu/runtime/held_sockets.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace mitu::runtime {

void HeldSockets::add(const std::string& name, std::vector<UniqueFd> sockets) {
    auto& held = sockets_[name];
    held.insert(held.end(), std::make_move_iterator(sockets.begin()),
                std::make_move_iterator(sockets.end()));
}

std::vector<UniqueFd> HeldSockets::take(const std::string& name) {
    const auto found = sockets_.find(name);
    if (found == sockets_.end()) return {};
    std::vector<UniqueFd> sockets = std::move(found->second);
    sockets_.erase(found);
    return sockets;
}

void HeldSockets::keep(const std::string& name, std::span<const UniqueFd> sockets) {
    if (holder_.keep) holder_.keep(name, sockets);
}

void HeldSockets::forget_all_but(const std::vector<std::string>& names) {
    std::erase_if(sockets_, [&](const auto& held) {
        if (std::find(names.begin(), names.end(), held.first) != names.end()) return false;
        if (holder_.forget) holder_.forget(held.first);
        return true;
    });
}

void HeldSockets::let_go(const std::string& name) {
    if (holder_.let_go) holder_.let_go(name);
}

}  // namespace mitu::runtime
