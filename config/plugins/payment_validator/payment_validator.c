/* payment_validator: looks over a payment before it is made. The same plugin as lib.rs, in C.
 *
 * config   {"amount_max": 5000, "currencies": ["EUR", "USD"]}      both may be left out
 * input    {"amount": 12.5, "currency": "EUR", "card": "4111111111111111"}
 * output   {"valid": true, "reasons": []}
 *
 * Build:   cc -std=c11 -O2 -fPIC -shared -I include payment_validator.c -o payment_validator.so
 *
 * A plugin of yours would use a JSON library. This one reads flat objects by itself, so that it can
 * be built with a compiler alone; what it cannot read, it refuses.
 */
#include "distric_plugin.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CURRENCIES_MAX 16

typedef struct {
    double amount_max;
    char currencies[CURRENCIES_MAX][4];
    int currency_count; /* 0: any */
} settings;

/* -- the little JSON that it reads ------------------------------------------------------------- */

typedef struct {
    const char *at;
    const char *end;
} reader;

static void skip_space(reader *json) {
    while (json->at < json->end && strchr(" \t\r\n", *json->at)) json->at++;
}

static bool take(reader *json, char expected) {
    skip_space(json);
    if (json->at == json->end || *json->at != expected) return false;
    json->at++;
    return true;
}

/* Text without escapes, at most size - 1 bytes. */
static bool take_text(reader *json, char *into, size_t size) {
    if (!take(json, '"')) return false;
    size_t length = 0;
    while (json->at < json->end && *json->at != '"') {
        if (*json->at == '\\' || length + 1 == size) return false;
        into[length++] = *json->at++;
    }
    into[length] = 0;
    return take(json, '"');
}

static bool take_number(reader *json, double *into) {
    char digits[32];
    size_t length = 0;
    skip_space(json);
    while (json->at < json->end && strchr("+-.0123456789eE", *json->at)) {
        if (length + 1 == sizeof digits) return false;
        digits[length++] = *json->at++;
    }
    digits[length] = 0;
    char *rest;
    *into = strtod(digits, &rest);
    return length > 0 && *rest == 0;
}

/* Any value, unread. Nests at most `depth` deep. */
static bool skip_value(reader *json, int depth) {
    skip_space(json);
    if (json->at == json->end || depth == 0) return false;
    char first = *json->at;
    if (first == '"') {
        for (json->at++; json->at < json->end && *json->at != '"'; json->at++) {
            if (*json->at == '\\') json->at++;
        }
        return take(json, '"');
    }
    if (first == '{' || first == '[') {
        char last = first == '{' ? '}' : ']';
        json->at++;
        if (take(json, last)) return true;
        do {
            if (first == '{' && (!skip_value(json, depth - 1) || !take(json, ':'))) return false;
            if (!skip_value(json, depth - 1)) return false;
        } while (take(json, ','));
        return take(json, last);
    }
    const char *start = json->at;
    while (json->at < json->end && !strchr(",]} \t\r\n", *json->at)) json->at++;
    return json->at > start;
}

/* Calls `field` for every key of an object; it reads the value, or says that it does not. */
static bool read_object(distric_text text, bool (*field)(void *, const char *, reader *),
                        void *into) {
    reader json = {text.data, text.data + text.length};
    if (!take(&json, '{')) return false;
    if (take(&json, '}')) return true;
    do {
        char key[64];
        if (!take_text(&json, key, sizeof key) || !take(&json, ':')) return false;
        if (!field(into, key, &json)) return false;
    } while (take(&json, ','));
    return take(&json, '}');
}

/* -- the plugin -------------------------------------------------------------------------------- */

static distric_text text_of(const char *text) {
    distric_text made = {text, strlen(text)};
    return made;
}

static int32_t fail(const distric_plugin_output *output, const char *code, const char *message) {
    output->fail(output, text_of(code), text_of(message));
    return DISTRIC_FAILED;
}

static bool setting(void *into, const char *key, reader *json) {
    settings *made = into;
    if (strcmp(key, "amount_max") == 0) {
        return take_number(json, &made->amount_max) && made->amount_max > 0;
    }
    if (strcmp(key, "currencies") == 0) {
        if (!take(json, '[')) return false;
        if (take(json, ']')) return true;
        do {
            if (made->currency_count == CURRENCIES_MAX) return false;
            char *currency = made->currencies[made->currency_count++];
            if (!take_text(json, currency, sizeof made->currencies[0])) return false;
        } while (take(json, ','));
        return take(json, ']');
    }
    return false; /* a key that is mistyped must not be another limit */
}

static bool read_settings(const distric_plugin_config *config, settings *into) {
    memset(into, 0, sizeof *into);
    into->amount_max = 10000;
    bool is_null = config->json.length == 4 && memcmp(config->json.data, "null", 4) == 0;
    return is_null || read_object(config->json, setting, into);
}

static int32_t validate_config(const distric_plugin_config *config,
                               const distric_plugin_output *output) {
    settings unused;
    if (read_settings(config, &unused)) return DISTRIC_OK;
    return fail(output, "",
                "expected {\"amount_max\": a number above 0, \"currencies\": [at most 16 codes of 3 "
                "letters]}");
}

static int32_t init(const distric_plugin_config *config, const distric_plugin_output *output,
                    void **handle) {
    settings *made = malloc(sizeof *made);
    if (made == NULL) return fail(output, "", "no memory");
    if (!read_settings(config, made)) {
        free(made);
        return validate_config(config, output);
    }
    *handle = made;
    return DISTRIC_OK;
}

typedef struct {
    bool has_amount;
    double amount;
    char currency[8];
    char card[24];
} payment;

static bool payment_field(void *into, const char *key, reader *json) {
    payment *read = into;
    if (strcmp(key, "amount") == 0) return read->has_amount = take_number(json, &read->amount);
    if (strcmp(key, "currency") == 0) return take_text(json, read->currency, sizeof read->currency);
    if (strcmp(key, "card") == 0) return take_text(json, read->card, sizeof read->card);
    return skip_value(json, 32);
}

/* ISO/IEC 7812-1, annex B: every second digit from the right is doubled, the sum ends in 0. */
static bool is_card_number(const char *card) {
    size_t length = strlen(card);
    int sum = 0;
    for (size_t i = 0; i < length; i++) {
        int digit = card[length - 1 - i] - '0';
        if (digit < 0 || digit > 9) return false;
        if (i % 2 == 1) digit = digit > 4 ? 2 * digit - 9 : 2 * digit;
        sum += digit;
    }
    return length >= 12 && length <= 19 && sum % 10 == 0;
}

static bool is_known(const settings *with, const char *currency) {
    for (int i = 0; i < with->currency_count; i++) {
        if (strcmp(with->currencies[i], currency) == 0) return true;
    }
    return with->currency_count == 0 && strlen(currency) == 3;
}

static int32_t execute(void *handle, const distric_plugin_task *task, distric_text input,
                       const distric_plugin_output *output,
                       const distric_plugin_context *context) {
    const settings *with = handle;
    payment read = {0};
    (void)task;
    if (!read_object(input, payment_field, &read) || !read.has_amount) {
        return fail(output, "bad_payment", "expected {\"amount\": ..., \"currency\": ..., \"card\": ...}");
    }
    const char *reasons[4];
    int count = 0;
    if (!(read.amount > 0)) reasons[count++] = "\"amount is not above zero\"";
    if (read.amount > with->amount_max) reasons[count++] = "\"amount is above the limit\"";
    if (!is_known(with, read.currency)) reasons[count++] = "\"currency is not accepted\"";
    if (!is_card_number(read.card)) reasons[count++] = "\"card number is wrong\"";
    if (count > 0) context->log(context, DISTRIC_LOG_INFO, text_of("a payment is not valid"));

    char json[256];
    int length = snprintf(json, sizeof json, "{\"valid\":%s,\"reasons\":[", count ? "false" : "true");
    for (int i = 0; i < count; i++) {
        length += snprintf(json + length, sizeof json - (size_t)length, "%s%s", i ? "," : "", reasons[i]);
    }
    length += snprintf(json + length, sizeof json - (size_t)length, "]}");
    return output->write(output, json, (size_t)length);
}

static void cleanup(void *handle) { free(handle); }

static const char *get_name(void) { return "payment_validator"; }
static const char *get_version(void) { return "1.0.0"; }

const distric_plugin_interface *get_plugin_interface(void) {
    static const distric_plugin_interface table = {
        .abi_version = DISTRIC_PLUGIN_ABI_VERSION,
        .struct_size = sizeof table,
        .get_name = get_name,
        .get_version = get_version,
        .validate_config = validate_config,
        .init = init,
        .execute = execute,
        .cleanup = cleanup,
    };
    return &table;
}
