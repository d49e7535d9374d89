#include "mitu/identity/record_json.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace mitu::identity {
namespace {

using nlohmann::json;

constexpr std::size_t member_bytes_max = 4'096;
constexpr std::size_t record_document_bytes_max = std::size_t{1} << 30;
constexpr std::uint64_t number_max = std::uint64_t{1} << 53;  // what JSON carries without loss
constexpr std::size_t record_name_bytes_max = 64;

}  // namespace

RecordReader::RecordReader(const json& object) : object_{object} {
    if (!object.is_object()) problem_ = "it is no JSON object";
}

const json* RecordReader::take(const char* name) {
    asked_.emplace_back(name);
    if (!problem_.empty()) return nullptr;
    const auto found = object_.find(name);
    return found == object_.end() ? nullptr : &*found;
}

void RecordReader::text(const char* name, std::string& value) {
    const json* member = take(name);
    if (member == nullptr) return;
    if (!member->is_string() || member->get_ref<const std::string&>().size() > member_bytes_max) {
        problem_ = fmt::format("{} is no text of at most 4096 bytes", name);
        return;
    }
    value = member->get_ref<const std::string&>();
}

void RecordReader::flag(const char* name, bool& value) {
    const json* member = take(name);
    if (member == nullptr) return;
    if (!member->is_boolean()) {
        problem_ = fmt::format("{} is not true or false", name);
        return;
    }
    value = member->get<bool>();
}

void RecordReader::number(const char* name, std::int64_t& value) {
    const json* member = take(name);
    if (member == nullptr) return;
    if (!member->is_number_unsigned() || member->get<std::uint64_t>() > number_max) {
        problem_ = fmt::format("{} is no whole number of 0..2^53", name);
        return;
    }
    value = member->get<std::int64_t>();
}

std::optional<std::string> RecordReader::problem() const {
    if (!problem_.empty()) return problem_;
    for (const auto& [name, value] : object_.items()) {
        if (std::find(asked_.begin(), asked_.end(), name) == asked_.end()) {
            return fmt::format("\"{}\" is not known here", name.substr(0, record_name_bytes_max));
        }
    }
    return std::nullopt;
}

std::optional<std::string> read_records(
    std::string_view text, const char* list, std::uint64_t version, std::uint64_t& revision,
    const std::function<std::optional<std::string>(const json&)>& read) {
    if (text.size() > record_document_bytes_max) return "the document has more than 1 GiB";
    const json document = json::parse(text, nullptr, false);
    if (!document.is_object()) return "the document is no JSON object";
    const auto number = [&](const char* name) -> std::optional<std::uint64_t> {
        const auto found = document.find(name);
        if (found == document.end() || !found->is_number_unsigned()) return std::nullopt;
        return found->get<std::uint64_t>();
    };
    if (number("version") != version) {
        return fmt::format("version is not {}; another version of Mitu wrote this", version);
    }
    const auto read_revision = number("revision");
    if (!read_revision) return "revision is no number";
    revision = *read_revision;
    const auto records = document.find(list);
    if (records == document.end() || !records->is_array()) {
        return fmt::format("there is no array \"{}\"", list);
    }
    for (std::size_t i = 0; i < records->size(); ++i) {
        if (const auto problem = read((*records)[i])) {
            return fmt::format("{}[{}]: {}", list, i, *problem);
        }
    }
    return std::nullopt;
}

RecordWriter::RecordWriter(const char* list, std::uint64_t version, std::uint64_t revision)
    : text_{
          fmt::format("{{\"version\": {}, \"revision\": {}, \"{}\": [", version, revision, list)} {}

void RecordWriter::add(const nlohmann::ordered_json& object) {
    text_ += is_first_ ? "\n  " : ",\n  ";
    text_ += object.dump(-1, ' ', false, json::error_handler_t::replace);
    is_first_ = false;
}

std::string RecordWriter::text() const { return text_ + (is_first_ ? "]}\n" : "\n]}\n"); }

bool is_record_name(std::string_view text) noexcept {
    return !text.empty() && text.size() <= record_name_bytes_max &&
           std::all_of(text.begin(), text.end(), [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
           });
}

}  // namespace mitu::identity
