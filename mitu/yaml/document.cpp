#include "mitu/yaml/document.hpp"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <charconv>
#include <istream>
#include <optional>
#include <streambuf>
#include <utility>

namespace mitu::yaml {
namespace {

using nlohmann::json;

constexpr std::size_t depth_max = 32;
constexpr std::size_t shown_bytes_max = 60;

std::uint32_t line_of_mark(const YAML::Mark& mark) noexcept {
    return mark.line < 0 ? 0u : static_cast<std::uint32_t>(mark.line) + 1;
}

/// RFC 3629: no overlong form, no surrogate, nothing above U+10FFFF.
bool is_utf8(std::string_view text) noexcept {
    for (std::size_t i = 0; i < text.size();) {
        const auto byte = [&](std::size_t at) {
            return at < text.size() ? static_cast<unsigned char>(text[at]) : 0u;
        };
        const unsigned lead = byte(i);
        if (lead < 0x80) {
            ++i;
            continue;
        }
        const std::size_t length = lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
        if (length == 0 || lead > 0xF4) return false;
        // The second byte has the narrower range where the lead alone would allow too much.
        const unsigned second_min = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
        const unsigned second_max = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
        if (byte(i + 1) < second_min || byte(i + 1) > second_max) return false;
        for (std::size_t j = 2; j < length; ++j) {
            if ((byte(i + j) & 0xC0) != 0x80) return false;
        }
        i += length;
    }
    return true;
}

/// YAML has none but tab and line ends; to yaml-cpp 0x00 is an escape and 0x04 the end of the file.
std::optional<std::uint32_t> line_of_control_character(std::string_view text) noexcept {
    std::uint32_t line = 1;
    for (const char c : text) {
        if (c == '\n') ++line;
        const auto byte = static_cast<unsigned char>(c);
        if ((byte < 0x20 && c != '\n' && c != '\t' && c != '\r') || byte == 0x7F) return line;
    }
    return std::nullopt;
}

/// A stream over text that is not copied.
class ViewBuffer : public std::streambuf {
public:
    explicit ViewBuffer(std::string_view text) {
        char* begin = const_cast<char*>(text.data());  // only read: there is no overflow()
        setg(begin, begin, begin + text.size());
    }
};

/// RFC 8259 section 6, so that 007 and 1_000 stay text.
bool is_json_number(std::string_view text, bool& is_integer) noexcept {
    std::size_t i = 0;
    const auto digits = [&] {
        const std::size_t from = i;
        while (i < text.size() && text[i] >= '0' && text[i] <= '9') ++i;
        return i - from;
    };
    is_integer = true;
    if (i < text.size() && text[i] == '-') ++i;
    const std::size_t first = i;
    const std::size_t count = digits();
    if (count == 0 || (count > 1 && text[first] == '0')) return false;
    if (i < text.size() && text[i] == '.') {
        is_integer = false;
        ++i;
        if (digits() == 0) return false;
    }
    if (i < text.size() && (text[i] == 'e' || text[i] == 'E')) {
        is_integer = false;
        ++i;
        if (i < text.size() && (text[i] == '+' || text[i] == '-')) ++i;
        if (digits() == 0) return false;
    }
    return i == text.size();
}

template <class Number>
std::optional<json> number_from(std::string_view text) {
    Number number{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return json(number);
}

json plain_scalar(const std::string& text) {
    if (text == "null" || text == "~" || text.empty()) return nullptr;
    if (text == "true") return true;
    if (text == "false") return false;
    bool is_integer = false;
    if (!is_json_number(text, is_integer)) return text;
    std::optional<json> number;
    if (is_integer) number = number_from<std::int64_t>(text);
    if (is_integer && !number) number = number_from<std::uint64_t>(text);
    if (!number) number = number_from<double>(text);
    return number ? *std::move(number) : json(text);
}

/// Builds JSON from yaml-cpp's events; its node graph would cost several times more.
class Builder : public YAML::EventHandler {
public:
    using Sink = std::function<void(json&, std::string_view, const LineMap&)>;

    Builder(const SourceFile& file, Problems& problems) : file_{file}, problems_{problems} {}
    void stream_list(std::string_view key, const Sink& sink) {
        list_key_ = key;
        sink_ = &sink;
    }
    std::optional<Document> take() { return std::exchange(document_, std::nullopt); }

    void OnDocumentStart(const YAML::Mark& mark) override {
        // yaml-cpp 0.7 does not step over a stray , ] or }: it would give empty documents for ever
        // (found by registry_fuzz).
        if (mark.pos == last_start_) throw YAML::ParserException(mark, "a stray , ] or }");
        last_start_ = mark.pos;
        document_.emplace();
        frames_.clear();
        is_empty_ = true;
    }
    void OnDocumentEnd() override {
        if (is_empty_) document_.reset();
    }
    void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
        refuse_anchor(mark, anchor);
        if (frames_.empty()) return;  // an empty document
        if (!take_key(mark, "")) put(mark, nullptr);
    }
    void OnAlias(const YAML::Mark& mark, YAML::anchor_t /*anchor*/) override {
        add_problem(mark, "an alias (*name) cannot be used here; write the value out");
        if (!take_key(mark, "*")) put(mark, nullptr);
    }
    void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  const std::string& value) override {
        refuse_anchor(mark, anchor);
        // yaml-cpp 0.7 makes single bytes of the escapes \_ and \N (found by policy_fuzz).
        if (!is_utf8(value)) {
            add_problem(mark,
                        "text that is not UTF-8; write the escapes \\_ as \\u00A0, \\N as \\u0085");
            if (!take_key(mark, "?")) put(mark, "?");
            return;
        }
        if (take_key(mark, value)) return;
        const bool plain = tag == "?" || tag.empty();
        if (!plain) refuse_tag(mark, tag);
        put(mark, plain ? plain_scalar(value) : json(value));
    }
    void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                         YAML::EmitterStyle::value /*style*/) override {
        open(mark, tag, anchor, json::array());
    }
    void OnSequenceEnd() override { close(); }
    void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                    YAML::EmitterStyle::value /*style*/) override {
        open(mark, tag, anchor, json::object());
    }
    void OnMapEnd() override { close(); }

private:
    struct Frame {
        json value;
        std::string path;
        std::string key;
        bool has_key = false;
        bool is_key = false;  // a map or list that stands where a key should
        bool streamed = false;
        std::size_t count = 0;
    };

    void add_problem(const YAML::Mark& mark, std::string text) {
        problems_.push_back({file_.name, line_of_mark(mark), std::move(text)});
    }
    void refuse_anchor(const YAML::Mark& mark, YAML::anchor_t anchor) {
        if (anchor != YAML::NullAnchor) {
            add_problem(mark, "an anchor (&name) cannot be used here; remove it");
        }
    }
    void refuse_tag(const YAML::Mark& mark, const std::string& tag) {
        if (tag != "?" && tag != "!" && !tag.empty()) {
            add_problem(mark, fmt::format("the tag {} cannot be used here; remove it", tag));
        }
    }

    /// Within a map where a key is due, takes it and says true.
    bool take_key(const YAML::Mark& mark, const std::string& text) {
        if (frames_.empty()) return false;
        Frame& frame = frames_.back();
        if (!frame.value.is_object() || frame.has_key) return false;
        frame.has_key = true;
        frame.key = text;
        if (frame.value.contains(text)) {
            add_problem(mark,
                        fmt::format("{} is there twice; remove one", join_path(frame.path, text)));
        }
        document_->lines.add(join_path(frame.path, text), line_of_mark(mark));
        return true;
    }
    std::string next_path(const Frame& frame) const {
        return frame.value.is_object() ? join_path(frame.path, frame.key)
                                       : fmt::format("{}[{}]", frame.path, frame.count);
    }
    void put(const YAML::Mark& mark, json value) {
        is_empty_ = false;
        if (frames_.empty()) {
            document_->value = std::move(value);
            document_->lines.add("", line_of_mark(mark));
            return;
        }
        Frame& frame = frames_.back();
        if (!frame.value.is_object()) document_->lines.add(next_path(frame), line_of_mark(mark));
        attach(frame, std::move(value));
    }
    void attach(Frame& frame, json value) {
        if (frame.value.is_object()) {
            frame.value[frame.key] = std::move(value);
            frame.has_key = false;
        } else if (frame.streamed) {
            (*sink_)(value, next_path(frame), document_->lines);
            document_->lines = outer_lines_;
        } else {
            frame.value.push_back(std::move(value));
        }
        ++frame.count;
    }
    void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, json value) {
        is_empty_ = false;
        refuse_anchor(mark, anchor);
        refuse_tag(mark, tag);
        if (frames_.size() >= depth_max) {
            throw YAML::ParserException(mark, fmt::format("nested deeper than {}", depth_max));
        }
        Frame frame;
        if (!frames_.empty()) {
            Frame& parent = frames_.back();
            if (parent.value.is_object() && !parent.has_key) {
                add_problem(mark, "a key that is a map or list cannot be used here; use text");
                frame.is_key = true;
            } else {
                frame.path = next_path(parent);
                frame.streamed = sink_ != nullptr && frames_.size() == 1 && value.is_array() &&
                                 parent.value.is_object() && parent.key == list_key_;
            }
        }
        document_->lines.add(frame.path, line_of_mark(mark));
        if (frame.streamed) outer_lines_ = document_->lines;
        frame.value = std::move(value);
        frames_.push_back(std::move(frame));
    }
    void close() {
        Frame frame = std::move(frames_.back());
        frames_.pop_back();
        if (frames_.empty()) {
            document_->value = std::move(frame.value);
        } else if (frame.is_key) {
            frames_.back().has_key = true;
            frames_.back().key = "?";
        } else {
            attach(frames_.back(), std::move(frame.value));
        }
    }

    const SourceFile& file_;
    Problems& problems_;
    std::string_view list_key_;
    const Sink* sink_ = nullptr;
    std::optional<Document> document_;
    std::vector<Frame> frames_;
    int last_start_ = -1;  // of a document, as an offset in the text
    LineMap outer_lines_;  // what goes on when the lines of a streamed item are dropped
    bool is_empty_ = true;
};

/// Runs the parser over every document. yaml-cpp's exceptions stop here.
template <class OnDocument>
void run(const SourceFile& file, Problems& problems, Builder& builder, OnDocument on_document) {
    if (!is_utf8(file.text)) {
        problems.push_back({file.name, 0, "not UTF-8; save the file in that encoding"});
        return;
    }
    if (const auto line = line_of_control_character(file.text)) {
        problems.push_back({file.name, *line, "a control character; remove it"});
        return;
    }
    ViewBuffer buffer{file.text};
    std::istream stream{&buffer};
    try {
        YAML::Parser parser{stream};
        while (parser.HandleNextDocument(builder)) {
            if (auto document = builder.take()) on_document(*std::move(document));
        }
    } catch (const YAML::Exception& error) {
        problems.push_back({file.name, line_of_mark(error.mark),
                            fmt::format("not YAML: {}; check quotes and indentation", error.msg)});
    }
}

}  // namespace

std::uint32_t LineMap::line_of(std::string_view path) const {
    for (;;) {
        if (const auto found = lines_.find(std::string{path}); found != lines_.end()) {
            return found->second;
        }
        if (path.empty()) return 0;
        const std::size_t cut = path.find_last_of(".[");
        path = path.substr(0, cut == std::string_view::npos ? 0 : cut);
    }
}

std::vector<Document> parse(const SourceFile& file, Problems& problems) {
    std::vector<Document> documents;
    Builder builder{file, problems};
    run(file, problems, builder,
        [&](Document document) { documents.push_back(std::move(document)); });
    return documents;
}

Document parse_list(const SourceFile& file, std::string_view list_key, Problems& problems,
                    const std::function<void(json&, std::string_view, const LineMap&)>& sink) {
    Document first;
    bool seen = false;
    Builder builder{file, problems};
    builder.stream_list(list_key, sink);
    run(file, problems, builder, [&](Document document) {
        if (seen) {
            problems.push_back(
                {file.name, document.lines.line_of(""), "a second document; use one, without ---"});
            return;
        }
        first = std::move(document);
        seen = true;
    });
    return first;
}

std::string show(const json& value) {
    std::string text = value.dump(-1, ' ', false, json::error_handler_t::replace);
    if (text.size() <= shown_bytes_max) return text;
    std::size_t end = shown_bytes_max - 3;
    // Not through the middle of a character.
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
    return text.substr(0, end) + "...";
}

std::string join_path(std::string_view parent, std::string_view key) {
    std::string path{parent};
    if (!path.empty()) path += '.';
    path += key;
    return path;
}

}  // namespace mitu::yaml
