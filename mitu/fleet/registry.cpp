#include "mitu/fleet/registry.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "mitu/fleet/csv.hpp"
#include "mitu/fleet/names.hpp"
#include "mitu/identity/credential.hpp"
#include "mitu/yaml/document.hpp"

namespace mitu::fleet {
namespace {

using nlohmann::json;
using yaml::join_path;
using yaml::LineMap;
using yaml::show;

enum class Column : std::uint8_t { device, tenant, class_name, labels, credential, password };
constexpr std::array<std::string_view, 6> column_names{"device", "tenant",     "class",
                                                       "labels", "credential", "password"};

std::span<const std::string_view> known_columns(const RegistryOptions& options) {
    return std::span{column_names}.first(options.allow_passwords ? 6 : 5);
}

std::optional<Column> find_column(std::string_view name, const RegistryOptions& options) {
    const auto known = known_columns(options);
    const auto found = std::find(known.begin(), known.end(), name);
    if (found == known.end()) return std::nullopt;
    return static_cast<Column>(found - known.begin());
}

std::string unknown_column(std::string_view what, std::string_view name,
                           const RegistryOptions& options) {
    const std::string_view near = did_you_mean(name, known_columns(options));
    if (!near.empty()) {
        return fmt::format("{} {} is not known; did you mean {}?", what, show(std::string{name}),
                           near);
    }
    return fmt::format("{} {} is not known; use {}", what, show(std::string{name}),
                       fmt::join(known_columns(options), ", "));
}

std::string* text_of(DeviceRecord& record, Column column) noexcept {
    switch (column) {
        case Column::device:
            return &record.device;
        case Column::tenant:
            return &record.tenant;
        case Column::class_name:
            return &record.class_name;
        case Column::credential:
            return &record.credential;
        case Column::password:
            return &record.password;
        case Column::labels:
            return nullptr;
    }
    return nullptr;
}

void clear(DeviceRecord& record) {
    record.device.clear();
    record.tenant.clear();
    record.class_name.clear();
    record.labels.clear();
    record.credential.clear();
    record.password.clear();
    record.line = 0;
}

/// Checks records and passes on those without a problem.
class Collector {
public:
    Collector(const SourceFile& file, const std::function<void(DeviceRecord&)>& sink)
        : file_{file}, sink_{sink} {}

    void add(std::uint32_t line, std::string text) {
        problems_.push_back({file_.name, line, std::move(text)});
    }
    [[nodiscard]] std::size_t count() const noexcept { return problems_.size(); }
    Problems& problems() noexcept { return problems_; }

    void check_and_pass(DeviceRecord& record, std::size_t problems_before) {
        require(record.line, "device", record.device, is_valid_device_id(record.device),
                device_id_use);
        require(record.line, "tenant", record.tenant, is_valid_name(record.tenant), name_use);
        require(record.line, "class", record.class_name, is_valid_name(record.class_name),
                name_use);
        check_labels(record);
        if (!record.credential.empty() && !identity::parse_credential(record.credential)) {
            add(record.line,
                "credential is not an argon2id PHC string of known cost; write it "
                "with `mitu device add`");
        }
        if (problems_.size() == problems_before) sink_(record);
    }

private:
    void require(std::uint32_t line, std::string_view what, const std::string& value, bool valid,
                 std::string_view use) {
        if (valid) return;
        add(line, value.empty() ? fmt::format("{} is missing; use {}", what, use)
                                : fmt::format("{} is {}; use {}", what, show(value), use));
    }
    void check_labels(DeviceRecord& record) {
        std::sort(record.labels.begin(), record.labels.end());
        if (record.labels.size() > labels_max) {
            add(record.line,
                fmt::format("labels are {}; use at most {}", record.labels.size(), labels_max));
        }
        for (std::size_t i = 0; i < record.labels.size(); ++i) {
            const Label& label = record.labels[i];
            if (!is_valid_label_key(label.key)) {
                add(record.line, fmt::format("label {} has no such name; use {}", show(label.key),
                                             label_key_use));
            }
            if (!is_valid_label_value(label.value)) {
                add(record.line, fmt::format("label {} is {}; use {}", label.key, show(label.value),
                                             label_value_use));
            }
            if (i > 0 && record.labels[i - 1].key == label.key) {
                add(record.line,
                    fmt::format("label {} is there twice; remove one", show(label.key)));
            }
        }
    }

    const SourceFile& file_;
    const std::function<void(DeviceRecord&)>& sink_;
    Problems problems_;
};

class CsvReader {
public:
    CsvReader(const SourceFile& file, const RegistryOptions& options, Collector& out)
        : text_{file.text}, options_{options}, out_{out} {}

    void read() {
        if (text_.starts_with("\xEF\xBB\xBF")) text_.remove_prefix(3);  // what spreadsheets write
        bool has_header = false;
        std::uint32_t line_number = 0;
        while (const auto line = next_line(text_)) {
            ++line_number;
            if (line->empty() || line->starts_with('#')) continue;
            if (!split_csv(*line, fields_)) {
                out_.add(line_number,
                         "a quote is not closed, or text follows a closing one; write "
                         "\"\" for a quote within quotes");
                continue;
            }
            if (!has_header) {
                if (!read_header(line_number)) return;
                has_header = true;
            } else {
                read_record(line_number);
            }
        }
    }

private:
    bool read_header(std::uint32_t line) {
        const std::size_t before = out_.count();
        for (const std::string& name : fields_) {
            const auto column = find_column(name, options_);
            if (!column) {
                out_.add(line, unknown_column("column", name, options_));
            } else if (std::find(columns_.begin(), columns_.end(), *column) != columns_.end()) {
                out_.add(line, fmt::format("column {} is there twice; remove one", name));
            } else {
                columns_.push_back(*column);
            }
        }
        for (const Column column : {Column::device, Column::tenant, Column::class_name}) {
            if (std::find(columns_.begin(), columns_.end(), column) == columns_.end()) {
                out_.add(line, fmt::format("column {} is missing; begin the file with a line such "
                                           "as device,tenant,class,labels,credential",
                                           column_names[static_cast<std::size_t>(column)]));
            }
        }
        return out_.count() == before;
    }

    void read_record(std::uint32_t line) {
        const std::size_t before = out_.count();
        clear(record_);
        record_.line = line;
        if (fields_.size() != columns_.size()) {
            out_.add(line, fmt::format("{} fields; use {}, as the header has", fields_.size(),
                                       columns_.size()));
            return;
        }
        for (std::size_t i = 0; i < columns_.size(); ++i) {
            if (std::string* text = text_of(record_, columns_[i])) {
                text->swap(fields_[i]);
            } else {
                read_labels(fields_[i]);
            }
        }
        out_.check_and_pass(record_, before);
    }

    void read_labels(std::string_view text) {
        while (!text.empty()) {
            const std::size_t end = std::min(text.find(';'), text.size());
            const std::string_view pair = text.substr(0, end);
            text.remove_prefix(std::min(end + 1, text.size()));
            const std::size_t equals = pair.find('=');
            if (equals == std::string_view::npos) {
                out_.add(record_.line, fmt::format("labels has {}; use name=value;name=value",
                                                   show(std::string{pair})));
                continue;
            }
            record_.labels.push_back(
                {std::string{pair.substr(0, equals)}, std::string{pair.substr(equals + 1)}});
        }
    }

    std::string_view text_;
    const RegistryOptions& options_;
    Collector& out_;
    std::vector<std::string> fields_;
    std::vector<Column> columns_;
    DeviceRecord record_;
};

class YamlReader {
public:
    YamlReader(const RegistryOptions& options, Collector& out) : options_{options}, out_{out} {}

    void read(const SourceFile& file) {
        const yaml::Document document =
            yaml::parse_list(file, "devices", out_.problems(),
                             [this](json& item, std::string_view path, const LineMap& lines) {
                                 read_record(item, path, lines);
                             });
        if (document.value.is_null()) return;  // empty: no devices
        if (!document.value.is_object()) {
            out_.add(document.lines.line_of(""), "the document is no map; use devices: and a list");
            return;
        }
        for (const auto& [key, value] : document.value.items()) {
            if (key != "devices") {
                out_.add(document.lines.line_of(key),
                         fmt::format("{} is not known; use devices", show(key)));
            } else if (!value.is_array() && !value.is_null()) {
                out_.add(document.lines.line_of(key), "devices is no list; use one item a device");
            }
        }
    }

private:
    void read_record(const json& item, std::string_view path, const LineMap& lines) {
        const std::size_t before = out_.count();
        clear(record_);
        record_.line = lines.line_of(path);
        if (!item.is_object()) {
            out_.add(
                record_.line,
                fmt::format("the device is {}; use a map with device, tenant, class", show(item)));
            return;
        }
        for (const auto& [key, value] : item.items()) {
            const std::uint32_t line = lines.line_of(join_path(path, key));
            const auto column = find_column(key, options_);
            if (!column) {
                out_.add(line, unknown_column("key", key, options_));
            } else if (*column == Column::labels) {
                read_labels(value, line);
            } else if (!value.is_string()) {
                out_.add(line, fmt::format("{} is {}; use text in quotes", key, show(value)));
            } else {
                *text_of(record_, *column) = value.get_ref<const std::string&>();
            }
        }
        // A value of another kind was told already; it shall not be told missing too.
        if (out_.count() == before) out_.check_and_pass(record_, before);
    }

    void read_labels(const json& value, std::uint32_t line) {
        if (!value.is_object()) {
            out_.add(line, fmt::format("labels is {}; use a map", show(value)));
            return;
        }
        for (const auto& [key, text] : value.items()) {
            if (!text.is_string()) {
                out_.add(line,
                         fmt::format("label {} is {}; use text in quotes", show(key), show(text)));
                continue;
            }
            record_.labels.push_back({key, text.get<std::string>()});
        }
    }

    const RegistryOptions& options_;
    Collector& out_;
    DeviceRecord record_;
};

}  // namespace

RegistryFormat registry_format(std::string_view file_name) noexcept {
    return file_name.ends_with(".csv") ? RegistryFormat::csv : RegistryFormat::yaml;
}

Problems parse_registry(const SourceFile& file, const RegistryOptions& options,
                        const std::function<void(DeviceRecord&)>& sink) {
    Collector collector{file, sink};
    if (registry_format(file.name) == RegistryFormat::csv) {
        CsvReader{file, options, collector}.read();
    } else {
        YamlReader{options, collector}.read(file);
    }
    return std::move(collector.problems());
}

std::string format_record(const DeviceRecord& record, RegistryFormat format) {
    std::string labels;
    if (format == RegistryFormat::csv) {
        for (const Label& label : record.labels) {
            labels += fmt::format("{}{}={}", labels.empty() ? "" : ";", label.key, label.value);
        }
        return fmt::format("{},{},{},{},{}\n", quote_csv(record.device), record.tenant,
                           record.class_name, quote_csv(labels), quote_csv(record.credential));
    }
    std::string text = fmt::format("  - device: \"{}\"\n    tenant: \"{}\"\n    class: \"{}\"\n",
                                   record.device, record.tenant, record.class_name);
    for (const Label& label : record.labels) {
        labels +=
            fmt::format("{}\"{}\": \"{}\"", labels.empty() ? "" : ", ", label.key, label.value);
    }
    if (!labels.empty()) text += fmt::format("    labels: {{{}}}\n", labels);
    if (!record.credential.empty()) {
        text += fmt::format("    credential: \"{}\"\n", record.credential);
    }
    return text;
}

std::string_view registry_header(RegistryFormat format) noexcept {
    return format == RegistryFormat::csv ? "device,tenant,class,labels,credential\n" : "devices:\n";
}

}  // namespace mitu::fleet
