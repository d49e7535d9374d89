#include <fmt/format.h>
#include <sys/stat.h>

#include <filesystem>

#include "apps/mitu/passwd_command.hpp"
#include "apps/mitu/password_input.hpp"
#include "mitu/identity/credential.hpp"
#include "mitu/identity/digest.hpp"
#include "mitu/identity/password_file.hpp"
#include "mitu/identity/scram_verifier.hpp"
#include "mitu/yaml/files.hpp"

namespace mitu::cli {
namespace {

using yaml::Problem;
using yaml::Problems;

Problems with_file(const std::string& path, const identity::LineProblems& problems) {
    Problems result;
    for (const auto& problem : problems) result.push_back({path, problem.line, problem.text});
    return result;
}

std::unexpected<Problems> refuse(const std::string& path, std::string why) {
    return std::unexpected(Problems{{path, 0, std::move(why)}});
}

/// The file's text; empty where there is none yet.
Result<std::string, Problems> load_password_file(const std::string& path) {
    std::error_code unknown;  // then opening it will tell
    if (!std::filesystem::exists(path, unknown) && !unknown) return std::string{};
    auto file = yaml::load_file(path);
    if (!file) return std::unexpected(Problems{file.error()});
    return std::move(file->text);
}

Result<std::string, std::string> make_hash(const PasswdRequest& request) {
    if (request.password.empty()) return std::unexpected("the password is empty; give one");
    if (request.password.size() > identity::password_bytes_max) {
        return std::unexpected("the password has more than 65535 bytes, which MQTT cannot carry");
    }
    const auto salt = random_bytes<std::tuple_size_v<identity::Salt>>();
    if (request.scram) {
        if (!identity::is_scram_text(request.password) || !identity::is_scram_text(request.user)) {
            return std::unexpected(
                "SCRAM takes user names and passwords of printable ASCII only; leave out --scram, "
                "or use others");
        }
        const auto verifier = identity::make_scram_verifier(
            request.password, identity::as_view(salt), identity::scram_iterations_usual);
        if (verifier) return identity::format_scram_verifier(*verifier);
    } else {
        std::string hash =
            identity::hash_password(request.password, salt,
                                    request.is_random ? identity::credential_cost_random
                                                      : identity::credential_cost_chosen);
        if (!hash.empty()) return hash;
    }
    return std::unexpected("not enough memory to hash the password; it needs 64 MiB");
}

}  // namespace

Result<bool, Problems> set_password(const PasswdRequest& request) {
    if (const auto why = identity::why_not_user_name(request.user); !why.empty()) {
        return refuse(request.path, std::string{why});
    }
    // Before the lock: it takes a tenth of a second.
    const auto hash = make_hash(request);
    if (!hash) return refuse(request.path, hash.error());
    const auto lock = yaml::FileLock::acquire(request.path);
    if (!lock) return std::unexpected(Problems{lock.error()});
    const auto text = load_password_file(request.path);
    if (!text) return std::unexpected(text.error());
    const auto edit =
        identity::put_user(*text, {request.user, *hash, request.tenant, request.device_class});
    if (!edit) return std::unexpected(with_file(request.path, edit.error()));
    if (auto problem = yaml::replace_file(request.path, edit->text)) {
        return std::unexpected(Problems{*std::move(problem)});
    }
    return edit->replaced;
}

std::optional<Problems> delete_user(const std::string& path, const std::string& user) {
    const auto lock = yaml::FileLock::acquire(path);
    if (!lock) return Problems{lock.error()};
    const auto file = yaml::load_file(path);
    if (!file) return Problems{file.error()};
    const auto edit = identity::remove_user(file->text, user);
    if (!edit) return with_file(path, edit.error());
    if (!edit->replaced) {
        return Problems{{path, 0, fmt::format("user \"{}\" is not in it; check the name", user)}};
    }
    if (auto problem = yaml::replace_file(path, edit->text)) return Problems{*std::move(problem)};
    return std::nullopt;
}

Result<PasswdCheck, Problems> check_password_file(const std::string& path) {
    auto text = yaml::load_file(path);
    if (!text) return std::unexpected(Problems{text.error()});
    const auto file = identity::PasswordFile::parse(std::move(text->text));
    if (!file) return std::unexpected(with_file(path, file.error()));
    PasswdCheck check;
    check.users = file->size();
    for (std::size_t i = 0; i < file->size(); ++i) {
        const auto kind = identity::kind_of_hash(file->at(i).hash);
        if (kind) ++check.by_kind[static_cast<std::size_t>(*kind)];
    }
    struct stat status{};
    check.others_may_read = ::stat(path.c_str(), &status) == 0 && (status.st_mode & 077) != 0;
    return check;
}

}  // namespace mitu::cli
