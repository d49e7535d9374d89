#include "apps/mitud/privileges.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "mitu/trace/log.hpp"

namespace mitu::daemon {
namespace {

std::string error_text(int error) { return std::generic_category().message(error); }

/// What was readable at start and would not be at a reload.
void warn_of_unreadable(const config::FromFiles& from) {
    const auto warn = [](const std::string& problem) {
        trace::log(trace::Level::warn, "file_unreadable",
                   {{"user", runtime::own_name()},
                    {"problem", problem},
                    {"effect", "what it holds now stays in use; a change of it cannot be read"},
                    {"remedy", "let that user read it: chgrp GROUP FILE; chmod 640 FILE"}});
    };
    if (!from.file.empty() && ::access(from.file.c_str(), R_OK) != 0) {
        warn(fmt::format("{}: {}", from.file, error_text(errno)));
    }
    for (const yaml::Problem& problem : config::unreadable_files(from.loaded)) {
        warn(yaml::to_text(problem));
    }
}

}  // namespace

Result<Privileges, std::string> Privileges::plan(const config::Node& node) {
    if (node.user.empty()) return Privileges{std::nullopt};
    auto account = runtime::find_account(node.user, node.group);
    if (!account) return std::unexpected("node.user: " + account.error());
    if (!runtime::is_root() && account->uid != ::geteuid()) {
        return std::unexpected(
            fmt::format("node.user is {}, but the server was started as {}, who cannot become "
                        "another; start it as root or as {}",
                        node.user, runtime::own_name(), node.user));
    }
    return Privileges{*std::move(account)};
}

std::optional<std::string> Privileges::make_data_directory(const std::string& path) const {
    std::error_code failed;
    const bool is_new = std::filesystem::create_directories(path, failed);
    const auto refuse = [&](const std::string& why) {
        return fmt::format("node.data is {}: {}; name a directory that can be written", path, why);
    };
    if (failed) return refuse(failed.message());
    if (!is_new) return std::nullopt;
    if (::chmod(path.c_str(), 0750) != 0) return refuse(error_text(errno));
    // Of what was there before, nothing changes hands.
    if (account_ && ::lchown(path.c_str(), account_->uid, account_->gid) != 0) {
        return refuse(error_text(errno));
    }
    return std::nullopt;
}

std::optional<std::string> Privileges::give_up(const config::FromFiles& from) const {
    if (!account_ && runtime::is_root()) {
        trace::log(trace::Level::warn, "running_as_root",
                   {{"effect", "whoever takes over the server has the machine"},
                    {"remedy", "set node.user, or start it as a user of its own"}});
        return std::nullopt;
    }
    const auto done = account_ ? runtime::become(*account_) : runtime::give_up_capabilities();
    if (!done) return "node.user: " + done.error();
    const std::string& data = from.loaded.config.node.data;
    if (::access(data.c_str(), W_OK | X_OK) != 0) {
        const int error = errno;
        return fmt::format("node.data is {}, which {} cannot write ({}); chown --recursive {} {}",
                           data, runtime::own_name(), error_text(error), ::geteuid(), data);
    }
    if (account_) {
        trace::log(trace::Level::info, "privileges_given_up",
                   {{"user", account_->name},
                    {"uid", account_->uid},
                    {"gid", account_->gid},
                    {"groups", fmt::format("{}", fmt::join(account_->groups, ","))}});
    }
    warn_of_unreadable(from);
    return std::nullopt;
}

}  // namespace mitu::daemon
