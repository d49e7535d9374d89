#include "mitu/identity/password_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "mitu/base/hash.hpp"
#include "mitu/identity/lines.hpp"
#include "mitu/identity/secret.hpp"

namespace mitu::identity {
namespace {

constexpr std::size_t password_file_bytes_max = std::size_t{1} << 30;
constexpr std::size_t line_bytes_max = 4'096;
constexpr std::size_t user_bytes_max = 1'024;
constexpr std::size_t attribute_bytes_max = 64;

bool is_comment(std::string_view line) noexcept {
    return line.starts_with('#') || trim(line).empty();
}

struct Attributes {
    std::string_view tenant;
    std::string_view device_class;
};

bool is_attribute_value(std::string_view value) noexcept {
    return !value.empty() && value.size() <= attribute_bytes_max &&
           std::all_of(value.begin(), value.end(), [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
           });
}

constexpr std::string_view attribute_use = "use 1..64 of a-z 0-9 _ -";

/// Errors  what is wrong, for people.
Result<Attributes, std::string> parse_attributes(std::string_view text) {
    Attributes attributes;
    while (!(text = trim(text)).empty()) {
        const std::string_view word = text.substr(0, text.find_first_of(line_blanks));
        text.remove_prefix(word.size());
        const std::size_t equals = word.find('=');
        const std::string_view name = word.substr(0, equals);
        if (equals == std::string_view::npos || (name != "tenant" && name != "class")) {
            // The word may be the rest of a secret, so it is not shown.
            return std::unexpected(
                "something stands behind the hash; use tenant=NAME or "
                "class=NAME, or remove it");
        }
        const std::string_view value = word.substr(equals + 1);
        if (!is_attribute_value(value)) {
            return std::unexpected(fmt::format("{} is not a name; {}", name, attribute_use));
        }
        (name == "tenant" ? attributes.tenant : attributes.device_class) = value;
    }
    return attributes;
}

struct Parts {
    std::string_view user;
    std::string_view hash;
    std::string_view rest;
};

Result<Parts, std::string> parse_line(std::string_view line) {
    if (line.size() > line_bytes_max) {
        return std::unexpected("the line has more than 4096 bytes; is this a password file?");
    }
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) {
        return std::unexpected("no \":\" between user and hash; use USER:HASH, or # for a comment");
    }
    Parts parts;
    parts.user = trim(line.substr(0, colon));
    if (const auto why = why_not_user_name(parts.user); !why.empty()) {
        return std::unexpected(std::string{why});
    }
    const std::string_view behind = trim(line.substr(colon + 1));
    parts.hash = behind.substr(0, behind.find_first_of(line_blanks));
    parts.rest = behind.substr(parts.hash.size());
    if (!kind_of_hash(parts.hash)) {
        return std::unexpected(
            fmt::format("user \"{}\" has no password hash that is known here (a password in plain "
                        "text?); set it with `mitu passwd FILE USER`",
                        parts.user));
    }
    return parts;
}

std::string format_line(const PasswordLine& line, const Attributes& attributes) {
    std::string text = line.user + ":" + line.hash;
    if (!attributes.tenant.empty()) text += fmt::format(" tenant={}", attributes.tenant);
    if (!attributes.device_class.empty()) text += fmt::format(" class={}", attributes.device_class);
    return text;
}

/// The bytes of a line in the text, its end included.
struct Extent {
    std::size_t begin = 0;
    std::size_t end = 0;
};

Extent extent_of_line(std::string_view text, std::uint32_t number) noexcept {
    std::size_t begin = 0;
    for (std::uint32_t line = 1; line < number; ++line) begin = text.find('\n', begin) + 1;
    const std::size_t end = text.find('\n', begin);
    return {begin, end == std::string_view::npos ? text.size() : end + 1};
}

}  // namespace

std::string_view why_not_user_name(std::string_view user) noexcept {
    if (user.empty()) return "the user name is empty; give one of 1..1024 bytes";
    if (user.size() > user_bytes_max) return "the user name is too long; use at most 1024 bytes";
    if (user.find(':') != std::string_view::npos) {
        return "the user name has a \":\", which ends it in the file; use another character";
    }
    if (user.starts_with('#')) return "the user name begins with \"#\", as comments do";
    if (!is_utf8(user) || std::any_of(user.begin(), user.end(), is_control)) {
        return "the user name has control characters or is not UTF-8; use text";
    }
    if (trim(user).size() != user.size()) return "the user name begins or ends with a blank";
    return {};
}

std::string_view PasswordFile::user_of(const Entry& entry) const noexcept {
    return std::string_view{text_}.substr(entry.offset, entry.user_bytes);
}

Result<PasswordFile, LineProblems> PasswordFile::parse(std::string text) {
    PasswordFile file;
    LineProblems problems;
    if (text.size() > password_file_bytes_max) {
        return std::unexpected(LineProblems{{0, "the file has more than 1 GiB; split it"}});
    }
    file.text_ = std::move(text);
    std::uint32_t number = 0;
    for (std::string_view rest = file.text_;
         !rest.empty() && problems.size() < line_problems_max;) {
        const std::string_view line = take_line(rest);
        ++number;
        if (is_comment(line)) continue;
        const auto parts = parse_line(line);
        if (!parts) {
            problems.push_back({number, parts.error()});
            continue;
        }
        if (const auto attributes = parse_attributes(parts->rest); !attributes) {
            problems.push_back(
                {number, fmt::format("user \"{}\": {}", parts->user, attributes.error())});
            continue;
        }
        const char* begin = parts->user.data();
        const auto behind = [begin](const char* at) {
            return static_cast<std::uint16_t>(at - begin);
        };
        file.entries_.push_back(
            {static_cast<std::uint32_t>(begin - file.text_.data()), number,
             static_cast<std::uint16_t>(parts->user.size()), behind(parts->hash.data()),
             static_cast<std::uint16_t>(parts->hash.size()), behind(line.data() + line.size())});
    }
    file.entries_.shrink_to_fit();
    file.slots_.assign(std::bit_ceil(file.entries_.size() * 2 + 1), 0);
    const std::size_t mask = file.slots_.size() - 1;
    for (std::uint32_t i = 0; i < file.entries_.size(); ++i) {
        const std::string_view user = file.user_of(file.entries_[i]);
        std::size_t slot = hash_bytes(user) & mask;
        while (file.slots_[slot] != 0 &&
               file.user_of(file.entries_[file.slots_[slot] - 1]) != user) {
            slot = (slot + 1) & mask;
        }
        if (file.slots_[slot] != 0) {
            problems.push_back({file.entries_[i].line,
                                fmt::format("user \"{}\" is in line {} already; remove one of them",
                                            user, file.entries_[file.slots_[slot] - 1].line)});
            continue;
        }
        file.slots_[slot] = i + 1;
    }
    if (problems.empty()) return file;
    std::sort(problems.begin(), problems.end(),
              [](const auto& a, const auto& b) { return a.line < b.line; });
    return std::unexpected(std::move(problems));
}

PasswordEntry PasswordFile::at(std::size_t index) const noexcept {
    const Entry& entry = entries_[index];
    const std::string_view line = std::string_view{text_}.substr(entry.offset, entry.end);
    const auto attributes =
        parse_attributes(line.substr(std::size_t{entry.hash_at} + entry.hash_bytes));
    return {user_of(entry), line.substr(entry.hash_at, entry.hash_bytes),
            attributes ? attributes->tenant : std::string_view{},
            attributes ? attributes->device_class : std::string_view{}, entry.line};
}

std::optional<PasswordEntry> PasswordFile::find(std::string_view user) const noexcept {
    if (entries_.empty()) return std::nullopt;
    const std::size_t mask = slots_.size() - 1;
    for (std::size_t slot = hash_bytes(user) & mask; slots_[slot] != 0; slot = (slot + 1) & mask) {
        if (user_of(entries_[slots_[slot] - 1]) == user) return at(slots_[slot] - 1);
    }
    return std::nullopt;
}

std::string_view PasswordFile::decoy_hash(std::string_view user) const noexcept {
    if (entries_.empty()) return {};
    return at(hash_bytes(user) % entries_.size()).hash;
}

Result<PasswordEdit, LineProblems> put_user(std::string_view text, const PasswordLine& line) {
    const auto refuse = [](std::string why) {
        return std::unexpected(LineProblems{{0, std::move(why)}});
    };
    if (const auto why = why_not_user_name(line.user); !why.empty()) {
        return refuse(std::string{why});
    }
    if (!kind_of_hash(line.hash)) return refuse("the hash has no form that is known here");
    const auto bad = [](const std::optional<std::string>& value) {
        return value && !value->empty() && !is_attribute_value(*value);
    };
    if (bad(line.tenant)) return refuse(fmt::format("the tenant is no name; {}", attribute_use));
    if (bad(line.device_class)) {
        return refuse(fmt::format("the class is no name; {}", attribute_use));
    }
    const auto before = PasswordFile::parse(std::string{text});
    if (!before) return std::unexpected(before.error());

    const auto entry = before->find(line.user);
    Attributes attributes;
    if (entry) attributes = {entry->tenant, entry->device_class};
    if (line.tenant) attributes.tenant = *line.tenant;
    if (line.device_class) attributes.device_class = *line.device_class;
    const std::string written = format_line(line, attributes) + "\n";
    if (written.size() > line_bytes_max) return refuse("the line would have more than 4096 bytes");

    PasswordEdit edit{std::string{text}, entry.has_value()};
    if (entry) {
        const Extent extent = extent_of_line(text, entry->line);
        edit.text.replace(extent.begin, extent.end - extent.begin, written);
    } else {
        if (!edit.text.empty() && !edit.text.ends_with('\n')) edit.text += '\n';
        edit.text += written;
    }
    return edit;
}

Result<PasswordEdit, LineProblems> remove_user(std::string_view text, std::string_view user) {
    const auto before = PasswordFile::parse(std::string{text});
    if (!before) return std::unexpected(before.error());
    PasswordEdit edit{std::string{text}, false};
    if (const auto entry = before->find(user)) {
        const Extent extent = extent_of_line(text, entry->line);
        edit.text.erase(extent.begin, extent.end - extent.begin);
        edit.replaced = true;
    }
    return edit;
}

}  // namespace mitu::identity
