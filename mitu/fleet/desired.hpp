#pragma once
// What a device should be: the desired half of its shadow, shared by all devices of one policy.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace mitu::fleet {

/// Threading  immutable, shared by pointer.
class DesiredState {
public:
    /// `settings_json`: a JSON object; the loader has checked it.
    [[nodiscard]] static std::shared_ptr<const DesiredState> create(std::uint32_t revision,
                                                                    std::string_view settings_json);
    ~DesiredState();
    DesiredState(const DesiredState&) = delete;
    DesiredState& operator=(const DesiredState&) = delete;

    [[nodiscard]] std::uint32_t revision() const noexcept { return revision_; }
    /// {"revision":N,"settings":{...}}, keys sorted, no spaces.
    [[nodiscard]] const std::string& json() const noexcept { return json_; }
    /// XXH3 of json().
    [[nodiscard]] std::uint64_t hash() const noexcept { return hash_; }

    /// The parsed document, for shadow.cpp.
    struct Document;
    [[nodiscard]] const Document& document() const noexcept { return *document_; }

private:
    DesiredState(std::uint32_t revision, std::unique_ptr<const Document> document,
                 std::string text);

    std::uint32_t revision_;
    std::uint64_t hash_;
    std::string json_;
    std::unique_ptr<const Document> document_;
};

}  // namespace mitu::fleet
