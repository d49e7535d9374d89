#pragma once
// Which handler answers a path and a method. Pure.

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mitu/http/server.hpp"

namespace mitu::http {

/// Patterns are made of segments: a literal, `{name}` for one segment, and at the end
/// `{name...}` or `*` for all that is left (one segment at least). Where several fit, the one that
/// is literal first wins.
/// Cost  all patterns are looked at: there are some dozens.
class Routes {
public:
    struct Entry {
        Server::Handler handler;
        Runs runs = Runs::on_server;
    };

    void add(std::string_view method, std::string_view pattern, Entry entry) {
        std::vector<Piece> pieces = parse(pattern);
        auto route = std::find_if(routes_.begin(), routes_.end(),
                                  [&](const Route& r) { return r.pieces == pieces; });
        if (route == routes_.end()) route = routes_.insert(route, {std::move(pieces), {}});
        route->methods[std::string{method}] = std::move(entry);
    }

    struct Match {
        const Entry* entry = nullptr;
        std::string allowed;  // methods of the path, for the Allow header; empty: no such path
        std::vector<std::pair<std::string, std::string>> params;
    };
    [[nodiscard]] Match find(std::string_view method, const Target& target) const {
        const Route* best = nullptr;
        for (const Route& route : routes_) {
            if (!fits(route.pieces, target.segments)) continue;
            if (best == nullptr || is_closer(route.pieces, best->pieces)) best = &route;
        }
        Match match;
        if (best == nullptr) return match;
        for (const auto& [name, entry] : best->methods) {
            match.allowed += match.allowed.empty() ? name : ", " + name;
            if (name == "GET") match.allowed += ", HEAD";
            const bool is_head_of_get = method == "HEAD" && name == "GET";
            if (name == method || (is_head_of_get && match.entry == nullptr)) match.entry = &entry;
        }
        match.params = bind(best->pieces, target.segments);
        return match;
    }

private:
    enum class Kind : std::uint8_t { literal, one, rest };  // the closer one first
    struct Piece {
        Kind kind = Kind::literal;
        std::string text;  // the literal, or the name
        bool operator==(const Piece&) const = default;
    };
    struct Route {
        std::vector<Piece> pieces;
        std::map<std::string, Entry, std::less<>> methods;
    };

    [[nodiscard]] static std::vector<Piece> parse(std::string_view pattern) {
        std::vector<Piece> pieces;
        while (!pattern.empty()) {
            pattern.remove_prefix(1);  // '/'
            std::string_view text = pattern.substr(0, pattern.find('/'));
            pattern.remove_prefix(text.size());
            if (text == "*") {
                pieces.push_back({Kind::rest, {}});
            } else if (text.starts_with('{') && text.ends_with("...}")) {
                pieces.push_back({Kind::rest, std::string{text.substr(1, text.size() - 5)}});
            } else if (text.starts_with('{') && text.ends_with('}')) {
                pieces.push_back({Kind::one, std::string{text.substr(1, text.size() - 2)}});
            } else {
                pieces.push_back({Kind::literal, std::string{text}});
            }
        }
        return pieces;
    }

    [[nodiscard]] static bool fits(const std::vector<Piece>& pieces,
                                   const std::vector<std::string>& segments) {
        for (std::size_t i = 0; i < pieces.size(); ++i) {
            if (i >= segments.size()) return false;
            if (pieces[i].kind == Kind::rest) return true;
            if (pieces[i].kind == Kind::literal && pieces[i].text != segments[i]) return false;
        }
        return pieces.size() == segments.size();
    }

    /// Of two that fit the same path.
    [[nodiscard]] static bool is_closer(const std::vector<Piece>& a, const std::vector<Piece>& b) {
        for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
            if (a[i].kind != b[i].kind) return a[i].kind < b[i].kind;
        }
        return a.size() > b.size();
    }

    [[nodiscard]] static std::vector<std::pair<std::string, std::string>> bind(
        const std::vector<Piece>& pieces, const std::vector<std::string>& segments) {
        std::vector<std::pair<std::string, std::string>> params;
        for (std::size_t i = 0; i < pieces.size(); ++i) {
            if (pieces[i].kind == Kind::literal) continue;
            std::string value = segments[i];
            for (std::size_t k = i + 1; pieces[i].kind == Kind::rest && k < segments.size(); ++k) {
                value.append("/").append(segments[k]);
            }
            params.emplace_back(pieces[i].text, std::move(value));
        }
        return params;
    }

    std::vector<Route> routes_;
};

}  // namespace mitu::http
