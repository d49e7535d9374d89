#include "mitu/config/diff.hpp"

#include <fmt/format.h>

#include <map>

#include "mitu/config/encode.hpp"
#include "mitu/yaml/document.hpp"

namespace mitu::config {
namespace {

using yaml::join_path;

std::string text_of(const Key& key, const Json& value) {
    return mask_secret(key, value).dump(-1, ' ', false, Json::error_handler_t::replace);
}

class Differ {
public:
    void sections(const Shape& shape, const Json& before, const Json& after,
                  const std::string& path) {
        for (const Key& key : shape.keys) {
            const std::string name{key.name};
            const Json& a = before.at(name);
            const Json& b = after.at(name);
            if (a == b) continue;
            const std::string child = join_path(path, name);
            if (key.kind == Kind::section && a.is_object() && b.is_object()) {
                sections(key.shape(), a, b, child);
            } else if (key.kind == Kind::list && !key.shape().identity.empty()) {
                named_items(key, a, b, child);
            } else if (key.kind == Kind::list) {
                items(key, a, b, child);
            } else {
                note(key, a, b, child);
            }
        }
    }
    std::vector<Change> take() { return std::move(changes_); }

private:
    void note(const Key& key, const Json& before, const Json& after, std::string path) {
        changes_.push_back({Change::Kind::changed, std::move(path), text_of(key, before),
                            text_of(key, after), key.applies == Applies::live});
    }
    void note_item(const Key& list, Change::Kind kind, const Json& item, std::string path) {
        const std::string text =
            mask_secrets(list.shape(), item).dump(-1, ' ', false, Json::error_handler_t::replace);
        const bool is_added = kind == Change::Kind::added;
        changes_.push_back({kind, std::move(path), is_added ? "" : text, is_added ? text : "",
                            list.applies == Applies::live});
    }

    static std::string identity_of(const Shape& shape, const Json& item) {
        std::string identity = item.at(std::string{shape.identity}).get<std::string>();
        // Users of two tenants may share a name.
        if (item.contains("tenant") && item.contains("credential")) {
            identity = item.at("tenant").get<std::string>() + "/" + identity;
        }
        return identity;
    }
    void named_items(const Key& list, const Json& before, const Json& after,
                     const std::string& path) {
        const Shape& shape = list.shape();
        std::map<std::string, const Json*> old_items;
        for (const Json& item : before) old_items.emplace(identity_of(shape, item), &item);
        std::map<std::string, const Json*> new_items;
        std::vector<std::string> common_before;
        std::vector<std::string> common_after;
        for (const Json& item : after) new_items.emplace(identity_of(shape, item), &item);
        for (const Json& item : before) {
            const std::string id = identity_of(shape, item);
            if (new_items.contains(id)) {
                common_before.push_back(id);
            } else {
                note_item(list, Change::Kind::removed, item, fmt::format("{}[{}]", path, id));
            }
        }
        for (const Json& item : after) {
            const std::string id = identity_of(shape, item);
            const auto old = old_items.find(id);
            if (old == old_items.end()) {
                note_item(list, Change::Kind::added, item, fmt::format("{}[{}]", path, id));
                continue;
            }
            common_after.push_back(id);
            sections(shape, *old->second, item, fmt::format("{}[{}]", path, id));
        }
        if (common_before != common_after) {
            changes_.push_back({Change::Kind::changed, path,
                                fmt::format("in order {}", fmt::join(common_before, ", ")),
                                fmt::format("in order {}", fmt::join(common_after, ", ")),
                                list.applies == Applies::live});
        }
    }
    /// Items without a name: those that are only in one of the lists.
    void items(const Key& list, const Json& before, const Json& after, const std::string& path) {
        std::vector<std::string> kept;
        kept.reserve(before.size());
        for (const Json& item : before) kept.push_back(item.dump());
        std::vector<bool> matched(before.size(), false);
        std::vector<std::size_t> added;
        std::map<std::string, std::vector<std::size_t>> places;
        for (std::size_t i = before.size(); i-- > 0;) places[kept[i]].push_back(i);
        for (std::size_t i = 0; i < after.size(); ++i) {
            auto& free = places[after[i].dump()];
            if (free.empty()) {
                added.push_back(i);
            } else {
                matched[free.back()] = true;
                free.pop_back();
            }
        }
        std::size_t removed = 0;
        for (std::size_t i = 0; i < before.size(); ++i) {
            if (matched[i]) continue;
            ++removed;
            note_item(list, Change::Kind::removed, before[i], fmt::format("{}[{}]", path, i));
        }
        for (const std::size_t i : added) {
            note_item(list, Change::Kind::added, after[i], fmt::format("{}[{}]", path, i));
        }
        if (removed == 0 && added.empty()) {
            changes_.push_back({Change::Kind::changed, path, "in one order", "in another",
                                list.applies == Applies::live});
        }
    }

    std::vector<Change> changes_;
};

}  // namespace

std::vector<Change> diff(const Config& before, const Config& after) {
    Differ differ;
    differ.sections(root_shape(), encode(before), encode(after), "");
    return differ.take();
}

std::string to_text(const Change& change) {
    const std::string_view applies = change.is_live ? "live" : "on restart";
    switch (change.kind) {
        case Change::Kind::added:
            return fmt::format("+ {}: {}  ({})", change.path, change.after, applies);
        case Change::Kind::removed:
            return fmt::format("- {}: {}  ({})", change.path, change.before, applies);
        case Change::Kind::changed:
            break;
    }
    return fmt::format("~ {}: {} -> {}  ({})", change.path, change.before, change.after, applies);
}

std::string to_json(const std::vector<Change>& changes) {
    static constexpr std::string_view kinds[]{"changed", "added", "removed"};
    Json list = Json::array();
    for (const Change& change : changes) {
        Json item = Json::object();
        item["kind"] = std::string{kinds[static_cast<std::size_t>(change.kind)]};
        item["path"] = change.path;
        item["before"] = change.before;
        item["after"] = change.after;
        item["applies"] = change.is_live ? "live" : "restart";
        list.push_back(std::move(item));
    }
    return list.dump(2) + "\n";
}

}  // namespace mitu::config
