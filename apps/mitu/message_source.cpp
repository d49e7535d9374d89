#include "apps/mitu/message_source.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "apps/mitu/system.hpp"

namespace mitu::cli {

MessageSource MessageSource::once(Bytes payload, std::uint64_t repeat) {
    MessageSource source;
    source.buffer_ = std::move(payload);
    source.left_ = repeat;
    source.at_end_ = true;
    return source;
}

MessageSource MessageSource::stdin_lines() {
    MessageSource source;
    source.reads_lines_ = true;
    const int flags = ::fcntl(STDIN_FILENO, F_GETFL);
    if (flags >= 0) ::fcntl(STDIN_FILENO, F_SETFL, flags | O_NONBLOCK);
    return source;
}

int MessageSource::wait_fd() const noexcept { return at_end_ ? -1 : STDIN_FILENO; }

Result<void, std::string> MessageSource::fill() {
    if (at_end_) return {};
    if (offset_ > 0) {
        buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(offset_));
        offset_ = 0;
    }
    const std::size_t before = buffer_.size();
    buffer_.resize(before + std::size_t{64} * 1'024);
    const ssize_t count = ::read(STDIN_FILENO, buffer_.data() + before, buffer_.size() - before);
    buffer_.resize(before + static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
    if (count < 0 && errno != EAGAIN && errno != EINTR) {
        return std::unexpected("standard input: " + errno_text(errno));
    }
    at_end_ = count == 0;
    return {};
}

std::optional<ByteView> MessageSource::next() noexcept {
    if (!reads_lines_) {
        if (left_ == 0) return std::nullopt;
        return ByteView{buffer_};
    }
    const ByteView rest = ByteView{buffer_}.subspan(offset_);
    const auto end = std::find(rest.begin(), rest.end(), std::uint8_t{'\n'});
    if (end != rest.end()) {
        line_bytes_ = static_cast<std::size_t>(end - rest.begin()) + 1;
        return rest.first(line_bytes_ - 1);
    }
    // The last line may lack its end.
    if (!at_end_ || rest.empty()) return std::nullopt;
    line_bytes_ = rest.size();
    return rest;
}

void MessageSource::pop() noexcept {
    if (!reads_lines_) {
        --left_;
    } else {
        offset_ += std::exchange(line_bytes_, 0);
    }
}

bool MessageSource::is_exhausted() const noexcept {
    return reads_lines_ ? at_end_ && offset_ == buffer_.size() : left_ == 0;
}

}  // namespace mitu::cli
