#pragma once
// AclFile: access rules in mosquitto's format.

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "mitu/base/result.hpp"
#include "mitu/identity/access.hpp"
#include "mitu/identity/problem.hpp"

namespace mitu::identity {

/// Who may do what, by user name: the lines `user NAME`, `topic [read|write|readwrite|deny] FILTER`
/// and `pattern [...] FILTER` with %c and %u. `topic` lines in front of the first `user` are for
/// clients without a user name; patterns are for all.
/// Threading  immutable.
/// Source     mosquitto.conf(5), acl_file, and mosquitto 2.0.11 where that leaves a question open.
///            Stricter than it in four ways: a denial in a pattern also beats a permission of the
///            user's own; a subscription must lie wholly inside what `read` allows (mosquitto takes
///            any and withholds messages); a client id or user name with `/` opens no pattern; `${`
///            is refused.
class AclFile {
public:
    AclFile() = default;
    /// Errors  every problem of the text.
    [[nodiscard]] static Result<AclFile, LineProblems> parse(std::string_view text);

    /// What that user may do; nullopt: a client without a user name. Never null: a user who is not
    /// in the file has what patterns allow, perhaps nothing.
    [[nodiscard]] std::shared_ptr<const Access> access_of(
        std::optional<std::string_view> user) const;

    [[nodiscard]] std::size_t user_count() const noexcept { return users_.size(); }

private:
    std::map<std::string, Access, std::less<>> users_;
    Access patterns_;
    std::shared_ptr<const Access> without_section_ = std::make_shared<Access>();
    std::shared_ptr<const Access> anonymous_ = std::make_shared<Access>();
};

}  // namespace mitu::identity
