/* log: lines for the operator on standard error. Only detect/app logs. Levels: errors and warnings always, info unless -q, debug with -v. */
#ifndef LEAKTAP_DETECT_APP_LOG_H
#define LEAKTAP_DETECT_APP_LOG_H

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

void log_init(enum log_level most);
/* One line "leaktap: warning: ...", control and non-ASCII bytes as \xNN: text may quote packets and events. Any thread. */
__attribute__((format(printf, 2, 3))) void log_line(enum log_level level, const char *fmt, ...);

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...)  log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
