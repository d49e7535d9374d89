#include "mitu/fleet/csv.hpp"

#include <algorithm>

namespace mitu::fleet {

bool split_csv(std::string_view line, std::vector<std::string>& fields) {
    std::size_t count = 0;
    const auto next_field = [&]() -> std::string& {
        if (count == fields.size()) fields.emplace_back();
        fields[count].clear();
        return fields[count++];
    };
    for (std::size_t i = 0;;) {
        std::string& field = next_field();
        if (i < line.size() && line[i] == '"') {
            for (++i;; ++i) {
                if (i == line.size()) return false;
                if (line[i] == '"') {
                    if (i + 1 == line.size() || line[i + 1] != '"') break;
                    ++i;  // "" is one quote
                }
                field += line[i];
            }
            ++i;
            if (i < line.size() && line[i] != ',') return false;
        } else {
            const std::size_t comma = std::min(line.find(',', i), line.size());
            field = line.substr(i, comma - i);
            i = comma;
        }
        if (i == line.size()) break;
        ++i;  // the comma
    }
    fields.resize(count);
    return true;
}

std::string quote_csv(std::string_view field) {
    if (field.find_first_of(",\"\r\n") == std::string_view::npos) return std::string{field};
    std::string quoted = "\"";
    for (const char c : field) {
        if (c == '"') quoted += '"';
        quoted += c;
    }
    return quoted + '"';
}

std::optional<std::string_view> next_line(std::string_view& text) noexcept {
    if (text.empty()) return std::nullopt;
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    return line;
}

}  // namespace mitu::fleet
