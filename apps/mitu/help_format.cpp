#include "apps/mitu/help_format.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <string>
#include <string_view>

namespace mitu::cli {

namespace {

constexpr std::size_t words_from = 36;
constexpr std::size_t line_max = 100;

/// `name`, then `words` from a fixed column on, over as many lines as they take.
std::string two_columns(std::string_view name, std::string_view words) {
    std::string text = fmt::format("  {}", name);
    // A name that reaches into the column of words has a line to itself.
    std::size_t column = text.size();
    if (column + 1 >= words_from && !words.empty()) {
        text += '\n';
        column = 0;
    }
    bool is_first_word = true;
    while (!words.empty()) {
        const std::size_t end = std::min(words.find(' '), words.size());
        const std::string_view word = words.substr(0, end);
        words.remove_prefix(std::min(end + 1, words.size()));
        if (is_first_word || column + 1 + word.size() > line_max) {
            if (!is_first_word) {
                text += '\n';
                column = 0;
            }
            text.append(words_from - column, ' ');
            column = words_from;
        } else {
            text += ' ';
            ++column;
        }
        text += word;
        column += word.size();
        is_first_word = false;
    }
    return text + "\n";
}

class HelpFormatter final : public CLI::Formatter {
public:
    std::string make_option_opts(const CLI::Option* option) const override {
        if (option->get_items_expected_max() == 0) return "";
        const std::string type = option->get_type_name();
        return " " + type.substr(0, type.find(':'));  // what follows are ranges
    }

    std::string make_option(const CLI::Option* option, bool is_positional) const override {
        const std::string name = is_positional
                                     ? option->get_name(true)
                                     : make_option_name(option, false) + make_option_opts(option);
        return two_columns(name, option->get_description());
    }

    std::string make_subcommand(const CLI::App* command) const override {
        return two_columns(command->get_name(), command->get_description());
    }

    // The defaults put an empty line before each part and another one between two.
    std::string make_help(const CLI::App* app, std::string name,
                          CLI::AppFormatMode mode) const override {
        std::string text = CLI::Formatter::make_help(app, std::move(name), mode);
        for (std::size_t at = text.find("\n\n\n"); at != std::string::npos;
             at = text.find("\n\n\n", at)) {
            text.erase(at, 1);
        }
        return text;
    }

    std::string make_group(std::string group, bool is_positional,
                           std::vector<const CLI::Option*> options) const override {
        std::string text = "\n" + group + ":\n";
        for (const CLI::Option* option : options) text += make_option(option, is_positional);
        return text;
    }
};

}  // namespace

std::shared_ptr<CLI::FormatterBase> make_help_formatter() {
    return std::make_shared<HelpFormatter>();
}

}  // namespace mitu::cli
