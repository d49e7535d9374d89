#include "mitu/fleet/desired.hpp"

#include "mitu/base/hash.hpp"
#include "mitu/fleet/desired_document.hpp"

namespace mitu::fleet {

std::shared_ptr<const DesiredState> DesiredState::create(std::uint32_t revision,
                                                         std::string_view settings_json) {
    auto document = std::make_unique<Document>();
    document->value["revision"] = revision;
    document->value["settings"] = nlohmann::json::parse(settings_json);
    std::string text = document->value.dump();
    return std::shared_ptr<const DesiredState>{
        new DesiredState(revision, std::move(document), std::move(text))};
}

DesiredState::DesiredState(std::uint32_t revision, std::unique_ptr<const Document> document,
                           std::string text)
    : revision_{revision},
      hash_{hash_bytes(text)},
      json_{std::move(text)},
      document_{std::move(document)} {}

DesiredState::~DesiredState() = default;

}  // namespace mitu::fleet
