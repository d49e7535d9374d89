#include "mitu/identity/acl_file.hpp"

#include <fmt/format.h>

#include "mitu/identity/lines.hpp"
#include "mitu/identity/secret.hpp"

namespace mitu::identity {
namespace {

constexpr std::size_t acl_text_bytes_max = std::size_t{256} << 20;

std::string_view take_word(std::string_view& rest) noexcept {
    const std::string_view word = rest.substr(0, rest.find_first_of(line_blanks));
    rest = trim(rest.substr(word.size()));
    return word;
}

enum class Right : std::uint8_t { read, write, read_write, deny };

std::optional<Right> parse_right(std::string_view word) noexcept {
    if (word == "read") return Right::read;
    if (word == "write") return Right::write;
    if (word == "readwrite") return Right::read_write;
    if (word == "deny") return Right::deny;
    return std::nullopt;
}

void add(Access& access, Right right, const std::string& filter) {
    if (right == Right::deny) {
        access.publish.deny.push_back(filter);
        access.subscribe.deny.push_back(filter);
    }
    if (right == Right::read || right == Right::read_write) {
        access.subscribe.allow.push_back(filter);
    }
    if (right == Right::write || right == Right::read_write) {
        access.publish.allow.push_back(filter);
    }
}

/// `[read|write|readwrite|deny] FILTER`. A lone word is a filter, "read" too.
std::optional<std::string> add_rule(std::string_view text, FilterSyntax syntax, Access& access) {
    if (text.empty()) {
        return "no topic filter; use topic [read|write|readwrite|deny] FILTER";
    }
    std::string_view filter = text;
    const std::string_view first = take_word(filter);
    Right right = Right::read_write;
    if (filter.empty()) {
        filter = first;
    } else if (const auto parsed = parse_right(first)) {
        right = *parsed;
    } else {
        return fmt::format("\"{}\" is no right; use read, write, readwrite or deny", first);
    }
    const auto written = read_login_filter(filter, syntax);
    if (!written) return fmt::format("the filter is \"{}\"; {}", filter, written.error());
    add(access, right, *written);
    return std::nullopt;
}

void append(Access& access, const Access& other) {
    const auto put = [](std::vector<std::string>& to, const std::vector<std::string>& from) {
        to.insert(to.end(), from.begin(), from.end());
    };
    put(access.publish.allow, other.publish.allow);
    put(access.publish.deny, other.publish.deny);
    put(access.subscribe.allow, other.subscribe.allow);
    put(access.subscribe.deny, other.subscribe.deny);
}

}  // namespace

Result<AclFile, LineProblems> AclFile::parse(std::string_view text) {
    if (text.size() > acl_text_bytes_max) {
        return std::unexpected(LineProblems{{0, "the file has more than 256 MiB; split it"}});
    }
    AclFile file;
    LineProblems problems;
    Access anonymous;
    Access* section = &anonymous;
    std::uint32_t number = 0;
    for (std::string_view rest = text; !rest.empty() && problems.size() < line_problems_max;) {
        std::string_view line = take_line(rest);
        ++number;
        if (line.starts_with('#') || (line = trim(line)).empty()) continue;
        const auto complain = [&](std::string what) {
            problems.push_back({number, std::move(what)});
        };
        if (!is_utf8(line)) {
            complain("the line is not UTF-8; is this an ACL file?");
            continue;
        }
        const std::string_view word = take_word(line);
        std::optional<std::string> problem;
        if (word == "topic") {
            problem = add_rule(line, FilterSyntax::without_variables, *section);
        } else if (word == "pattern") {
            problem = add_rule(line, FilterSyntax::percent, file.patterns_);
        } else if (word == "user") {
            if (line.empty()) {
                problem = "no user name; use user NAME";
            } else {
                section = &file.users_[std::string{line}];
            }
        } else {
            problem = fmt::format(
                "\"{}\" is not known; begin the line with user, topic, pattern "
                "or #",
                word.substr(0, 64));
        }
        if (problem) complain(*std::move(problem));
    }
    if (!problems.empty()) return std::unexpected(std::move(problems));
    append(anonymous, file.patterns_);
    file.anonymous_ = std::make_shared<Access>(std::move(anonymous));
    file.without_section_ = std::make_shared<Access>(file.patterns_);
    return file;
}

std::shared_ptr<const Access> AclFile::access_of(std::optional<std::string_view> user) const {
    if (!user) return anonymous_;
    const auto found = users_.find(*user);
    if (found == users_.end()) return without_section_;
    auto access = std::make_shared<Access>(found->second);
    append(*access, patterns_);
    return access;
}

}  // namespace mitu::identity
