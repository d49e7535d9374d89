#include "mitu/config/managed.hpp"

#include "mitu/config/encode.hpp"
#include "mitu/config/layers.hpp"
#include "mitu/config/table.hpp"
#include "mitu/config/units.hpp"
#include "mitu/yaml/emit.hpp"

namespace mitu::config {
namespace {

constexpr std::string_view heading =
    "# Written by mitud: what was changed through its API. Where the configuration file says\n"
    "# something else, that wins.\n";

std::string text_of(const Json& item, const char* key, const char* otherwise = "") {
    const auto found = item.find(key);
    return found != item.end() && found->is_string() ? found->get<std::string>() : otherwise;
}

bool is_user(const Json& item, std::string_view tenant, std::string_view name) {
    return text_of(item, "name") == name && text_of(item, "tenant", "default") == tenant;
}

bool is_ban(const Json& item, const Ban& ban) {
    return text_of(item, "client_id") == ban.client_id && text_of(item, "user") == ban.user &&
           text_of(item, "address") == ban.address && text_of(item, "tenant") == ban.tenant;
}

}  // namespace

struct ManagedFile::Impl {
    Json value = Json::object();

    Json& list(const char* name) {
        Json& list = value[name];
        if (!list.is_array()) list = Json::array();
        return list;
    }
    template <class Match>
    bool remove(const char* name, Match match) {
        Json& items = list(name);
        bool removed = false;
        for (std::size_t i = items.size(); i-- > 0;) {
            if (!match(items[i])) continue;
            items.erase(i);
            removed = true;
        }
        if (items.empty()) value.erase(name);
        return removed;
    }
    template <class Match>
    void put(const char* name, Json item, Match match) {
        Json& items = list(name);
        for (Json& known : items) {
            if (match(known)) {
                known = std::move(item);
                return;
            }
        }
        items.push_back(std::move(item));
    }
    /// The item of that name in `list`; made if it is not there.
    Json& named(const char* list_name, std::string_view name) {
        Json& items = list(list_name);
        for (Json& item : items) {
            if (text_of(item, "name") == name) return item;
        }
        Json item = Json::object();
        item["name"] = std::string{name};
        items.push_back(std::move(item));
        return items.back();
    }
    /// Items that say nothing but their name go.
    void tidy(const char* list_name) {
        (void)remove(list_name, [](const Json& item) { return item.size() <= 1; });
    }
};

ManagedFile::ManagedFile() : impl_{std::make_unique<Impl>()} {}
ManagedFile::ManagedFile(ManagedFile&& other) noexcept = default;
ManagedFile& ManagedFile::operator=(ManagedFile&& other) noexcept = default;
ManagedFile::~ManagedFile() = default;

Result<ManagedFile, yaml::Problems> ManagedFile::parse(const yaml::SourceFile& file) {
    yaml::Problems problems;
    const yaml::Document document = only_document(file, problems);
    if (!problems.empty()) return std::unexpected(std::move(problems));
    ManagedFile managed;
    managed.impl_->value = Json(document.value);
    return managed;
}

void ManagedFile::put_user(const User& user) {
    impl_->put("users", encode_changed(shape_of<User>(), &user),
               [&](const Json& item) { return is_user(item, user.tenant, user.name); });
}

bool ManagedFile::remove_user(std::string_view tenant, std::string_view name) {
    return impl_->remove("users", [&](const Json& item) { return is_user(item, tenant, name); });
}

void ManagedFile::put_ban(const Ban& ban) {
    impl_->put("bans", encode_changed(shape_of<Ban>(), &ban),
               [&](const Json& item) { return is_ban(item, ban); });
}

bool ManagedFile::remove_ban(const Ban& ban) {
    return impl_->remove("bans", [&](const Json& item) { return is_ban(item, ban); });
}

std::size_t ManagedFile::remove_expired_bans(WallTime now) {
    std::size_t count = 0;
    (void)impl_->remove("bans", [&](const Json& item) {
        const auto until = parse_time(text_of(item, "until"));
        const bool is_over = until && *until < now;
        if (is_over) ++count;
        return is_over;
    });
    return count;
}

void ManagedFile::set_listener_enabled(std::string_view listener, std::optional<bool> enabled) {
    Json& item = impl_->named("listeners", listener);
    if (enabled) {
        item["enabled"] = *enabled;
    } else {
        item.erase("enabled");
    }
    impl_->tidy("listeners");
}

void ManagedFile::set_tenant_limits(std::string_view tenant, const TenantLimits& limits) {
    Json& item = impl_->named("tenants", tenant);
    Json changed = encode_changed(shape_of<TenantLimits>(), &limits);
    if (changed.empty()) {
        item.erase("limits");
    } else {
        item["limits"] = std::move(changed);
    }
    impl_->tidy("tenants");
}

void ManagedFile::stamp(std::uint64_t revision, std::uint64_t content_hash) {
    Json stamped = Json::object();
    stamped["revision"] = revision;
    stamped["content_hash"] = content_hash;
    for (auto& [key, item] : impl_->value.items()) {
        if (!stamped.contains(key)) stamped[key] = std::move(item);
    }
    impl_->value = std::move(stamped);
}

std::string ManagedFile::text() const { return std::string{heading} + yaml::emit(impl_->value); }

}  // namespace mitu::config
