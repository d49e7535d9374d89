#include "mitu/node/live_config.hpp"

#include <algorithm>
#include <filesystem>

#include "mitu/trace/log.hpp"
#include "mitu/yaml/files.hpp"

namespace mitu::node {

using api::Code;
using api::refuse;

std::shared_ptr<const config::FromFiles> LiveConfig::now() const {
    const MutexLock lock{mutex_};
    return now_;
}

Result<Reloaded, std::string> LiveConfig::reload() {
    const MutexLock editing{editing_};
    auto next = read_();
    if (!next) return std::unexpected(next.error());
    auto applied = running_.take_all(next->loaded.config);
    if (!applied) return std::unexpected(applied.error());
    if (const auto problem = config::stamp_managed(*next)) {
        trace::log(trace::Level::warn, "config_not_stamped", {{"reason", yaml::to_text(*problem)}});
    }
    const std::uint64_t revision = next->loaded.revision;
    const MutexLock lock{mutex_};
    now_ = std::make_shared<const config::FromFiles>(*std::move(next));
    return Reloaded{revision, *std::move(applied)};
}

api::Answer<void> LiveConfig::edit(const Change& change, const Take& take) {
    const MutexLock editing{editing_};
    const auto before = now();
    const auto not_saved = [](const yaml::Problem& problem) {
        return refuse(Code::not_saved, yaml::to_text(problem));
    };
    // Others may edit it: read, change and write under its lock.
    const auto file_lock = yaml::FileLock::acquire(before->managed);
    if (!file_lock) return not_saved(file_lock.error());
    std::error_code failed;
    const bool is_there = std::filesystem::exists(before->managed, failed);
    yaml::LoadedFile old;
    config::ManagedFile managed;
    if (is_there) {
        auto read = yaml::load_file(before->managed);
        if (!read) return not_saved(read.error());
        old = *std::move(read);
        auto parsed = config::ManagedFile::parse({old.name, old.text});
        if (!parsed) return refuse(Code::not_saved, yaml::to_text(parsed.error()));
        managed = *std::move(parsed);
    }
    if (auto refused = change(managed, *before)) return std::unexpected(*std::move(refused));
    static_cast<void>(managed.remove_expired_bans(clock_.wall()));

    auto next = config::load_with_managed(*before, managed.text());
    if (!next) return refuse(Code::not_saved, yaml::to_text(next.error()));
    for (const yaml::Problem& notice : next->loaded.notices) {
        const auto& known = before->loaded.notices;
        const bool is_new = std::none_of(known.begin(), known.end(),
                                         [&](const auto& one) { return one.text == notice.text; });
        if (is_new) return refuse(Code::set_in_file, notice.text);
    }
    managed.stamp(next->loaded.revision, next->loaded.content_hash);
    if (const auto problem = yaml::replace_file(before->managed, managed.text())) {
        return not_saved(*problem);
    }
    if (const auto problem = take(next->loaded.config)) {
        if (is_there) {
            static_cast<void>(yaml::replace_file(before->managed, old.text));
        } else {
            std::filesystem::remove(before->managed, failed);
        }
        return refuse(Code::cannot_apply, *problem);
    }
    next->loaded.is_new_revision = false;
    const MutexLock lock{mutex_};
    now_ = std::make_shared<const config::FromFiles>(*std::move(next));
    return {};
}

}  // namespace mitu::node
