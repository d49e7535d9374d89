// `mitu passwd`: users of a password file.

#include "apps/mitu/passwd_command.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "apps/mitu/commands.hpp"
#include "apps/mitu/password_input.hpp"
#include "apps/mitu/system.hpp"
#include "mitu/identity/credential.hpp"

namespace mitu::cli {
namespace {

using nlohmann::ordered_json;

ExitCode complain_of(const yaml::Problems& problems) {
    for (const auto& problem : problems) complain(ExitCode::usage, yaml::to_text(problem));
    return ExitCode::usage;
}

void print_line(const ordered_json& value) {
    std::puts(value.dump(-1, ' ', false, ordered_json::error_handler_t::replace).c_str());
}

struct PasswdFlags {
    PasswdRequest request;
    std::string tenant;
    std::string device_class;
    bool remove = false;
    bool password_stdin = false;
    bool generate = false;
    bool json = false;
};

ExitCode run_delete(const PasswdFlags& flags) {
    if (const auto problems = delete_user(flags.request.path, flags.request.user)) {
        return complain_of(*problems);
    }
    if (flags.json) {
        print_line({{"user", flags.request.user}, {"done", "deleted"}});
    } else {
        fmt::print("deleted   {}\n", flags.request.user);
    }
    return ExitCode::ok;
}

/// What is wrong with the choice of password; empty: request.password is filled in.
std::string take_password(PasswdFlags& flags) {
    if (flags.generate && flags.password_stdin) {
        return "--generate and --password-stdin exclude each other; use one of them";
    }
    if (flags.generate) {
        flags.request.password = identity::format_secret(random_bytes<16>());
        flags.request.is_random = true;
        return {};
    }
    if (flags.password_stdin) {
        flags.request.password = read_password();
        return flags.request.password.empty() ? "--password-stdin: the first line of stdin is empty"
                                              : "";
    }
    if (!is_terminal(0)) {
        return "stdin is no terminal to ask for a password; use --password-stdin or --generate";
    }
    auto password = read_new_password();
    if (!password) return "the two passwords differ; try again";
    flags.request.password = *std::move(password);
    return {};
}

ExitCode run_passwd(PasswdFlags& flags, bool has_tenant, bool has_class) {
    if (flags.request.path.empty() || flags.request.user.empty()) {
        return complain(ExitCode::usage,
                        "passwd needs a file and a user: mitu passwd FILE USER; or mitu passwd "
                        "check FILE");
    }
    if (flags.remove) return run_delete(flags);
    if (has_tenant) flags.request.tenant = flags.tenant;
    if (has_class) flags.request.device_class = flags.device_class;
    if (const std::string wrong = take_password(flags); !wrong.empty()) {
        return complain(ExitCode::usage, wrong);
    }
    const auto replaced = set_password(flags.request);
    if (!replaced) return complain_of(replaced.error());
    const char* done = *replaced ? "changed" : "added";
    if (flags.json) {
        ordered_json body{{"user", flags.request.user}, {"done", done}};
        if (flags.generate) body["password"] = flags.request.password;
        print_line(body);
        return ExitCode::ok;
    }
    fmt::print("{:9} {}\n", done, flags.request.user);
    if (flags.generate) fmt::print("password  {}\n", flags.request.password);
    return ExitCode::ok;
}

ExitCode run_check(const std::string& path, bool json) {
    const auto check = check_password_file(path);
    if (!check) return complain_of(check.error());
    if (check->others_may_read) {
        fmt::print(
            stderr,
            "mitu: note: others may read {}; use chmod 600, or 640 with the server's group\n",
            path);
    }
    constexpr const char* kinds[] = {"argon2id", "scram_sha256", "pbkdf2_sha512", "sha512"};
    if (json) {
        ordered_json hashes = ordered_json::object();
        for (std::size_t i = 0; i < std::size(kinds); ++i) hashes[kinds[i]] = check->by_kind[i];
        print_line({{"users", check->users}, {"hashes", hashes}});
        return ExitCode::ok;
    }
    fmt::print("users     {}\n", check->users);
    for (std::size_t i = 0; i < std::size(kinds); ++i) {
        if (check->by_kind[i] > 0) fmt::print("{:13} {}\n", kinds[i], check->by_kind[i]);
    }
    const auto of = [&](identity::HashKind kind) {
        return check->by_kind[static_cast<std::size_t>(kind)];
    };
    const std::size_t weak = of(identity::HashKind::sha512) + of(identity::HashKind::pbkdf2_sha512);
    if (weak > 0) {
        fmt::print(
            "{} were written by mosquitto_passwd and are guessed faster than argon2id; set "
            "their passwords anew\n",
            weak);
    }
    return ExitCode::ok;
}

}  // namespace

void add_passwd_command(CLI::App& app, Outcome& outcome) {
    auto flags = std::make_shared<PasswdFlags>();
    CLI::App* passwd =
        app.add_subcommand("passwd", "set, delete and check users of a password file");
    passwd->add_option("FILE", flags->request.path,
                       "the file; made if it is not there (mosquitto_passwd's are read too)");
    passwd->add_option("USER", flags->request.user, "who logs in");
    passwd->add_flag("--delete", flags->remove, "delete the user");
    passwd->add_flag("--batch,--password-stdin", flags->password_stdin,
                     "read the password from the first line of stdin");
    passwd->add_flag("--generate", flags->generate, "make up a password and print it");
    passwd->add_flag("--scram", flags->request.scram,
                     "keep a SCRAM-SHA-256 verifier, for MQTT 5 clients that never send the "
                     "password; a plain password opens it too");
    CLI::Option* tenant =
        passwd->add_option("--tenant", flags->tenant, "whose user this is; \"\": anybody's");
    CLI::Option* device_class =
        passwd->add_option("--class", flags->device_class, "what it is; policies select by it");
    passwd->add_flag("--json", flags->json, "print JSON");
    passwd->footer(R"(
Asks for the password twice, on a terminal. The file is replaced whole, with mode 0600 if it is new;
comments and order stay. A hash cannot be turned back into a password, so what mosquitto_passwd wrote
becomes argon2id only when the user's password is set anew.
)");

    auto path = std::make_shared<std::string>();
    auto json = std::make_shared<bool>(false);
    CLI::App* check = passwd->add_subcommand("check", "read a whole password file, and count");
    check->add_option("FILE", *path, "the file")->required();
    check->add_flag("--json", *json, "print JSON");
    check->footer("");
    check->callback([path, json, &outcome] { outcome.exit_code = run_check(*path, *json); });
    passwd->callback([flags, check, tenant, device_class, &outcome] {
        if (check->parsed()) return;
        outcome.exit_code = run_passwd(*flags, tenant->count() > 0, device_class->count() > 0);
    });
}

}  // namespace mitu::cli
