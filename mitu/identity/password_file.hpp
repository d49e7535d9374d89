#pragma once
// PasswordFile: users and their hashed passwords, one a line. Ours, and mosquitto_passwd's.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mitu/base/result.hpp"
#include "mitu/identity/password_hash.hpp"
#include "mitu/identity/problem.hpp"

namespace mitu::identity {

/// One line: `USER:HASH`, and perhaps ` tenant=NAME` and ` class=NAME` behind a blank (no hash has
/// one, so mosquitto's lines are a subset). Lifetime: borrows from its file.
struct PasswordEntry {
    std::string_view user;
    std::string_view hash;          // as verify_password() takes it
    std::string_view tenant;        // empty: the caller's
    std::string_view device_class;  // empty: the caller's
    std::uint32_t line = 0;
};

/// Shape      text of at most 1 GiB; a line has at most 4,096 bytes. Lines that are blank or begin
///            with `#` are comments. The form of a hash is told by each line.
/// Cost       the text, and 16 bytes and 8..16 of index a user; find() is one probe.
/// Threading  immutable.
class PasswordFile {
public:
    PasswordFile() = default;
    /// Errors  every problem of the text: no hash, a hash that is none (a password in plain text,
    ///         say), an attribute that is unknown, a user named twice. None shows a hash.
    [[nodiscard]] static Result<PasswordFile, LineProblems> parse(std::string text);

    [[nodiscard]] std::optional<PasswordEntry> find(std::string_view user) const noexcept;
    /// Somebody's hash, always the same for the same `user`: checking a password against it makes
    /// an unknown user as dear as a known one. Empty: the file has no users.
    [[nodiscard]] std::string_view decoy_hash(std::string_view user) const noexcept;

    [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
    /// In the order of the file.
    [[nodiscard]] PasswordEntry at(std::size_t index) const noexcept;

private:
    struct Entry {
        std::uint32_t offset = 0;  // of the user in text_
        std::uint32_t line = 0;
        std::uint16_t user_bytes = 0;
        std::uint16_t hash_at = 0;  // behind offset
        std::uint16_t hash_bytes = 0;
        std::uint16_t end = 0;  // of the line, behind offset
    };
    [[nodiscard]] std::string_view user_of(const Entry& entry) const noexcept;

    std::string text_;
    std::vector<Entry> entries_;
    std::vector<std::uint32_t> slots_;  // open addressing; 1 + index, 0: free
};

/// What a line shall say.
struct PasswordLine {
    std::string user;
    std::string hash;
    /// nullopt: what the line says stays; empty: none.
    std::optional<std::string> tenant;
    std::optional<std::string> device_class;
};

/// Why `user` cannot stand in a password file; empty: it can.
[[nodiscard]] std::string_view why_not_user_name(std::string_view user) noexcept;

struct PasswordEdit {
    std::string text;
    bool replaced = false;  // or removed: the user was there
};

/// The text with that user in it: in the line that it had, or in a new last line. All else stays.
/// Errors  the problems of `text`; line 0: `line` itself is wrong.
[[nodiscard]] Result<PasswordEdit, LineProblems> put_user(std::string_view text,
                                                          const PasswordLine& line);
/// The text without that user's line.
[[nodiscard]] Result<PasswordEdit, LineProblems> remove_user(std::string_view text,
                                                             std::string_view user);

}  // namespace mitu::identity
