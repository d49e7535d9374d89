#include "mitu/yaml/emit.hpp"

#include <fmt/format.h>

#include "mitu/yaml/document.hpp"

namespace mitu::yaml {
namespace {

using Json = nlohmann::ordered_json;

/// Text that no YAML reader takes for anything else without quotes.
bool is_plain(std::string_view text) noexcept {
    if (text.empty() || text.size() > 200) return false;
    const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
    if (!is_letter(text.front()) && text.front() != '/') return false;
    for (const char c : text) {
        const bool fine = is_letter(c) || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
                          c == '-' || c == '/' || c == '@';
        if (!fine) return false;
    }
    // YAML 1.1 readers take more words for flags than we do.
    for (const std::string_view word :
         {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}) {
        if (text.size() != word.size()) continue;
        std::size_t same = 0;
        while (same < word.size() && (text[same] | 0x20) == word[same]) ++same;
        if (same == word.size()) return false;
    }
    return true;
}

std::string scalar(const Json& value) {
    if (!value.is_string()) return value.dump();
    const auto& text = value.get_ref<const std::string&>();
    if (is_plain(text)) return text;
    // A JSON string is a YAML one; 0x7F is none of ours, and parse() refuses it bare.
    const std::string quoted = value.dump(-1, ' ', false, Json::error_handler_t::replace);
    std::string safe;
    for (const char c : quoted) {
        if (c == '\x7f') {
            safe += "\\u007f";
        } else {
            safe += c;
        }
    }
    return safe;
}

class Emitter {
public:
    explicit Emitter(const std::function<std::string(std::string_view)>& comment_of)
        : comment_of_{comment_of} {}

    void block(const Json& value, std::string_view path, std::size_t indent) {
        if (value.is_object()) {
            bool is_first = true;
            for (const auto& [key, child] : value.items()) {
                if (!is_first || !after_dash_) out_.append(indent, ' ');
                is_first = after_dash_ = false;
                out_ += scalar(Json(key)) + ":";
                put(child, join_path(path, key), indent);
            }
            return;
        }
        std::size_t index = 0;
        for (const Json& child : value) {
            const std::string child_path = fmt::format("{}[{}]", path, index++);
            if (!after_dash_) out_.append(indent, ' ');
            out_ += "-";
            after_dash_ = false;
            if (child.is_object() && !child.empty()) {
                out_ += " ";
                after_dash_ = true;
                block(child, child_path, indent + 2);
                after_dash_ = false;
            } else {
                put(child, child_path, indent);
            }
        }
    }
    void top(const Json& value) {
        if (value.is_structured() && !value.empty()) {
            block(value, "", 0);
        } else {
            out_ += value.is_structured() ? value.dump() : scalar(value);
            out_ += '\n';
        }
    }
    std::string take() { return std::move(out_); }

private:
    /// What stands behind "key:" or "-".
    void put(const Json& value, const std::string& path, std::size_t indent) {
        const bool nests = value.is_structured() && !value.empty();
        if (!nests) out_ += " " + (value.is_structured() ? value.dump() : scalar(value));
        if (comment_of_) {
            const std::string comment = comment_of_(path);
            if (!comment.empty()) out_ += "  # " + comment;
        }
        out_ += '\n';
        if (nests) block(value, path, indent + 2);
    }

    const std::function<std::string(std::string_view)>& comment_of_;
    std::string out_;
    bool after_dash_ = false;  // the first line of an item stands behind its dash
};

}  // namespace

std::string emit(const nlohmann::ordered_json& value,
                 const std::function<std::string(std::string_view path)>& comment_of) {
    Emitter emitter{comment_of};
    emitter.top(value);
    return emitter.take();
}

}  // namespace mitu::yaml
