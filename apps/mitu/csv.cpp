#include "apps/mitu/csv.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <memory>

#include "apps/mitu/system.hpp"

namespace mitu::cli {

CsvReader::CsvReader(std::string_view text) noexcept : text_{text} {
    constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
    if (text_.starts_with(byte_order_mark)) at_ = byte_order_mark.size();
}

bool CsvReader::next(std::vector<std::string>& fields) {
    fields.clear();
    while (at_ < text_.size() && (text_[at_] == '\n' || text_[at_] == '\r')) {
        if (text_[at_] == '\n') ++line_;
        ++at_;
    }
    if (at_ == text_.size() || !error_.empty()) return false;
    record_offset_ = at_;
    record_line_ = line_;

    fields.emplace_back();
    bool in_quotes = false;
    for (; at_ < text_.size(); ++at_) {
        const char c = text_[at_];
        if (in_quotes) {
            if (c == '\n') ++line_;
            if (c != '"') {
                fields.back() += c;
            } else if (at_ + 1 < text_.size() && text_[at_ + 1] == '"') {
                fields.back() += '"';
                ++at_;
            } else {
                in_quotes = false;
            }
        } else if (c == '"' && fields.back().empty()) {
            in_quotes = true;
        } else if (c == ',') {
            fields.emplace_back();
        } else if (c == '\n') {
            ++line_;
            ++at_;
            break;
        } else if (c != '\r' || at_ + 1 == text_.size() || text_[at_ + 1] != '\n') {
            fields.back() += c;
        }
    }
    if (in_quotes) {
        error_ = fmt::format("line {}: a quote is opened and never closed", record_line_);
        return false;
    }
    return true;
}

Result<std::string, std::string> read_file(const std::string& path) {
    struct Close {
        void operator()(std::FILE* file) const noexcept { std::fclose(file); }
    };
    const std::unique_ptr<std::FILE, Close> file{std::fopen(path.c_str(), "rb")};
    if (!file) return std::unexpected(errno_text(errno));
    std::string text;
    char buffer[64 * 1'024];
    for (;;) {
        errno = 0;
        const std::size_t count = std::fread(buffer, 1, sizeof buffer, file.get());
        text.append(buffer, count);
        if (count < sizeof buffer) break;
    }
    if (std::ferror(file.get()) != 0) return std::unexpected(errno_text(errno));
    return text;
}

}  // namespace mitu::cli
