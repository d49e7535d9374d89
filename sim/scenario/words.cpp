#include "sim/scenario/words.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "mitu/fleet/csv.hpp"

namespace mitu::sim::scenario {
namespace {

bool is_blank(char c) noexcept { return c == ' ' || c == '\t'; }

bool is_name_character(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '-';
}

std::optional<std::uint8_t> hex_digit(char c) noexcept {
    if (c >= '0' && c <= '9') return static_cast<std::uint8_t>(c - '0');
    if (c >= 'a' && c <= 'f') return static_cast<std::uint8_t>(c - 'a' + 10);
    if (c >= 'A' && c <= 'F') return static_cast<std::uint8_t>(c - 'A' + 10);
    return std::nullopt;
}

/// Reads the words of one line, one after the other.
class LineReader {
public:
    explicit LineReader(std::string_view line) : rest_{line} {}

    /// Errors  nullopt: no more, or problem() says what is wrong.
    [[nodiscard]] std::optional<Word> next();
    [[nodiscard]] const std::string& problem() const noexcept { return problem_; }

private:
    void read_quoted(std::string& into);
    void read_escape(std::string& into);

    std::string_view rest_;
    std::string problem_;
};

std::optional<Word> LineReader::next() {
    while (!rest_.empty() && is_blank(rest_[0])) rest_.remove_prefix(1);
    if (rest_.empty() || rest_[0] == '#' || !problem_.empty()) return std::nullopt;
    Word word;
    if (rest_[0] == ';') {
        word.value = ";";
        rest_.remove_prefix(1);
        return word;
    }
    while (!rest_.empty() && !is_blank(rest_[0]) && rest_[0] != ';') {
        const char c = rest_[0];
        if (c == '"') {
            word.is_quoted = true;
            read_quoted(word.value);
            if (!problem_.empty()) return std::nullopt;
            continue;
        }
        rest_.remove_prefix(1);
        const bool names = c == '=' && word.name.empty() && !word.is_quoted &&
                           !word.value.empty() &&
                           std::all_of(word.value.begin(), word.value.end(), is_name_character);
        if (names) {
            word.name = std::exchange(word.value, {});
        } else {
            word.value += c;
        }
    }
    return word;
}

void LineReader::read_quoted(std::string& into) {
    rest_.remove_prefix(1);
    while (!rest_.empty() && rest_[0] != '"') {
        const char c = rest_[0];
        rest_.remove_prefix(1);
        if (c == '\\') {
            read_escape(into);
        } else {
            into += c;
        }
    }
    if (rest_.empty()) {
        if (problem_.empty()) problem_ = "a quote is not closed; end the text with \"";
        return;
    }
    rest_.remove_prefix(1);
}

void LineReader::read_escape(std::string& into) {
    const char c = rest_.empty() ? '\0' : rest_[0];
    if (!rest_.empty()) rest_.remove_prefix(1);
    switch (c) {
        case 'n':
            into += '\n';
            return;
        case 'r':
            into += '\r';
            return;
        case 't':
            into += '\t';
            return;
        case '"':
        case '\\':
            into += c;
            return;
        case 'x':
            if (rest_.size() >= 2) {
                const auto high = hex_digit(rest_[0]);
                const auto low = hex_digit(rest_[1]);
                if (high && low) {
                    into += static_cast<char>(*high << 4 | *low);
                    rest_.remove_prefix(2);
                    return;
                }
            }
            break;
        default:
            break;
    }
    if (problem_.empty()) {
        problem_ = fmt::format("the escape \\{} is none; use \\\" \\\\ \\n \\r \\t \\xHH", c);
    }
}

bool opens_block(const Statement& statement) {
    return statement.words.size() == 1 &&
           (statement.words[0].is("policy") || statement.words[0].is("registry"));
}

}  // namespace

std::string quote(std::string_view text) {
    std::string quoted = "\"";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            quoted += '\\';
            quoted += c;
        } else if (c == '\n') {
            quoted += "\\n";
        } else if (byte < 0x20 || byte == 0x7F) {
            quoted += fmt::format("\\x{:02x}", byte);
        } else {
            quoted += c;
        }
    }
    return quoted + '"';
}

std::string Word::text() const {
    const std::string shown = is_quoted ? quote(value) : value;
    return name.empty() ? shown : name + '=' + shown;
}

std::vector<Statement> split_statements(const std::string& file, std::string_view text,
                                        Problems& problems) {
    std::vector<Statement> statements;
    std::size_t indentation = 0;  // of the present block
    std::uint32_t number = 0;
    while (const auto line = fleet::next_line(text)) {
        ++number;
        const std::size_t at = line->find_first_not_of(" \t");
        const bool is_indented = at != 0 && at != std::string_view::npos;
        if (!statements.empty() && opens_block(statements.back()) && at != 0) {
            Statement& owner = statements.back();
            if (owner.block.empty()) {
                if (at == std::string_view::npos) continue;
                owner.block_line = number;
                indentation = at;
            }
            const std::size_t from = std::min(indentation, std::min(at, line->size()));
            owner.block.append(line->substr(from)).append("\n");
            continue;
        }
        LineReader reader{*line};
        std::vector<Word> words;
        while (auto word = reader.next()) words.push_back(std::move(*word));
        if (!reader.problem().empty()) {
            problems.push_back({file, number, reader.problem()});
        } else if (words.empty()) {
            continue;
        } else if (!is_indented) {
            statements.push_back({number, std::move(words), {}, 0});
        } else if (statements.empty()) {
            problems.push_back({file, number,
                                fmt::format("\"{}\" is indented, but there is no line above it "
                                            "that it could continue; begin at the margin",
                                            words[0].text())});
        } else {
            auto& owner = statements.back().words;
            owner.insert(owner.end(), std::make_move_iterator(words.begin()),
                         std::make_move_iterator(words.end()));
        }
    }
    return statements;
}

}  // namespace mitu::sim::scenario
