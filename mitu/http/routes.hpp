#pragma once
// Which handler answers a path and a method. Pure.

#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "mitu/http/server.hpp"

namespace mitu::http {

class Routes {
public:
    void add(std::string_view method, std::string_view path, Server::Handler handler) {
        routes_[std::string{path}][std::string{method}] = std::move(handler);
    }

    struct Match {
        const Server::Handler* handler = nullptr;
        std::string allowed;  // methods of the path, for the Allow header; empty: no such path
    };
    [[nodiscard]] Match find(std::string_view method, std::string_view path) const {
        const Methods* const methods = find_path(path);
        Match match;
        if (methods == nullptr) return match;
        for (const auto& [name, handler] : *methods) {
            match.allowed += match.allowed.empty() ? name : ", " + name;
            if (name == "GET") match.allowed += ", HEAD";
            const bool is_head_of_get = method == "HEAD" && name == "GET";
            if (name == method || (is_head_of_get && match.handler == nullptr)) {
                match.handler = &handler;
            }
        }
        return match;
    }

private:
    using Methods = std::map<std::string, Server::Handler, std::less<>>;

    [[nodiscard]] const Methods* find_path(std::string_view path) const {
        if (const auto exact = routes_.find(path); exact != routes_.end()) return &exact->second;
        // /a/b/c: /a/b/*, then /a/*, then /*
        for (std::size_t slash = path.rfind('/'); slash != std::string_view::npos;
             slash = slash == 0 ? std::string_view::npos : path.rfind('/', slash - 1)) {
            const std::string pattern = std::string{path.substr(0, slash)} + "/*";
            if (const auto below = routes_.find(pattern); below != routes_.end()) {
                return &below->second;
            }
        }
        return nullptr;
    }

    std::map<std::string, Methods, std::less<>> routes_;
};

}  // namespace mitu::http
