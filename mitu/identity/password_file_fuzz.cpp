// Any text as a password file: no crash; what parses is found again, and editing it keeps the rest.

#include <cstddef>
#include <cstdint>
#include <string>

#include "mitu/base/check.hpp"
#include "mitu/identity/password_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace mitu::identity;
    const std::string text{reinterpret_cast<const char*>(data), size};
    const auto file = PasswordFile::parse(text);
    if (!file) {
        MITU_CHECK(!file.error().empty());
        MITU_CHECK(!put_user(text, {"ann", "$6$QQ==$", {}, {}}));
        return 0;
    }
    for (std::size_t i = 0; i < file->size(); ++i) {
        const PasswordEntry entry = file->at(i);
        MITU_CHECK(file->find(entry.user) && file->find(entry.user)->line == entry.line);
        MITU_CHECK(kind_of_hash(entry.hash).has_value());
    }
    if (file->size() == 0) return 0;
    const PasswordEntry first = file->at(0);
    const std::string user{first.user};
    const auto same = put_user(text, {user, std::string{first.hash}, {}, {}});
    MITU_CHECK(same && same->replaced);
    const auto again = PasswordFile::parse(same->text);
    MITU_CHECK(again && again->size() == file->size());
    MITU_CHECK(again->find(user)->hash == first.hash && again->find(user)->tenant == first.tenant);
    const auto without = remove_user(text, user);
    MITU_CHECK(without && without->replaced);
    const auto rest = PasswordFile::parse(without->text);
    MITU_CHECK(rest && rest->size() + 1 == file->size() && !rest->find(user));
    return 0;
}
