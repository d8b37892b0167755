"""Everything the terminal says, in English and Chinese."""

from __future__ import annotations

import os
from typing import Literal, TypeAlias

Language: TypeAlias = Literal["en", "zh"]

_STRINGS: dict[str, tuple[str, str]] = {
    # Health, in the status strip
    "reason.all_good": ("READY", "就绪"),
    "reason.slo_breach": ("SLO BREACH", "SLO 违约"),
    "reason.alert_firing": ("ALERT", "告警"),
    "reason.serve_starting": ("STARTING", "启动中"),
    "reason.serve_degraded": ("DEGRADED", "降级"),
    "reason.serve_draining": ("DRAINING", "排空中"),
    "reason.serve_dead": ("DEAD", "已停止"),
    "reason.serve_unreachable": ("SERVE DOWN", "服务不可达"),
    "reason.record_missing": ("NO RECORD", "无记录"),
    "reason.objectives_unreadable": ("NO OBJECTIVES", "目标不可读"),
    "reason.record_stale": ("RECORD STALE", "记录过期"),
    "reason.nothing_readable": ("NOTHING TO READ", "无数据"),
    "badge.stale": ("STALE {age}", "过期 {age}"),
    "badge.restarted": ("RESTARTED", "已重启"),
    "badge.paused": ("PAUSED", "已暂停"),
    "badge.demo": ("DEMO MODEL", "演示模型"),
    "strip.connecting": ("Looking for {url} ...", "正在连接 {url} ……"),
    "strip.no_model": ("no serve", "无服务"),
    "strip.queue": ("queue", "排队"),
    "strip.running": ("running", "运行"),
    "strip.running.short": ("run", "运行"),
    "strip.tokens": ("tok/s", "词元/秒"),
    "strip.alerts": ("alerts", "告警"),
    "slo.availability": ("availability", "可用性"),
    "slo.latency": ("latency", "时延"),
    "slo.ttft": ("first token", "首词元"),
    "slo.speed": ("speed", "速度"),
    "slo.availability.short": ("avail", "可用"),
    "slo.latency.short": ("lat", "时延"),
    "slo.ttft.short": ("ttft", "首字"),
    "slo.speed.short": ("speed", "速度"),
    "slo.used": ("{bad} of {allowed}", "已用 {bad}/{allowed}"),
    "slo.unknown": ("no traffic", "无流量"),
    "slo.unattainable": ("not attainable here", "本机无法达到"),
    # Panels
    "device.title": ("Device", "设备"),
    "device.busy": ("busy", "占用"),
    "device.memory": ("mem", "内存"),
    "device.cache": ("KV", "KV"),
    "device.power": ("power", "功耗"),
    "device.temperature": ("temp", "温度"),
    "device.none": ("No samples: llmops watch or serve writes them.", "暂无采样：由 llmops watch 或 serve 写入。"),
    "device.no_gpu": ("No GPU (see up --gpu pretend)", "无显卡（演示：up --gpu pretend）"),
    "device.own": ("this screen {cpu} % CPU, look {look} ms", "本界面 {cpu}% CPU，读取 {look} ms"),
    "chart.tokens": ("Output tokens/s", "输出词元/秒"),
    "chart.latency": ("Slowest request, s", "最慢请求（秒）"),
    "chart.now": ("now {now}  peak {peak}", "当前 {now}  峰值 {peak}"),
    "chart.percentiles": ("P50 {p50}  P95 {p95}  P99 {p99}", "P50 {p50}  P95 {p95}  P99 {p99}"),
    "chart.first": ("TTFT P50 {ttft} ms", "首词元 P50 {ttft} ms"),
    "chart.empty": ("nothing in the last 5 minutes", "最近 5 分钟无数据"),
    "alerts.title": ("Alerts", "告警"),
    "alerts.none": ("No alert is pending or firing.", "没有待定或触发中的告警。"),
    "alerts.exemplars": ("Open these with Enter in the requests list:", "在请求列表中按 Enter 打开："),
    "alerts.since": ("for {span}", "已 {span}"),
    "alerts.firing": ("FIRING ", "触发中"),
    "alerts.pending": ("pending", "待定  "),
    "bench.line": (
        "Last benchmark {time} ({trigger}): {rate} tok/s, TTFT P50 {ttft} ms, {failed} of {total} failed{change}",
        "上次基准 {time}（{trigger}）：{rate} 词元/秒，首词元 P50 {ttft} ms，失败 {failed}/{total}{change}",
    ),
    "bench.change": (", {delta} % against the baseline", "，较基线 {delta}%"),
    "bench.regression": (" REGRESSION", " 退化"),
    # Requests
    "requests.title": ("Requests", "请求"),
    "requests.sorted": ("by {column}", "按{column}"),
    "requests.matching": ("{shown} of {all} match {needle}", "{shown}/{all} 匹配 {needle}"),
    "requests.outcomes": ("5 min: {counts}", "5 分钟：{counts}"),
    "requests.empty": (
        "No requests yet: press {chat} and say hello, or run  llmops chat -m hello",
        "还没有请求：按 {chat} 打个招呼，或运行  llmops chat -m hello",
    ),
    "requests.no_record": (
        "No record at {path}: run  llmops watch  (or  llmops up  for both).",
        "{path} 没有记录：请运行  llmops watch（或  llmops up  同时启动两者）。",
    ),
    "requests.filter": ("filter: id, user, outcome, model", "过滤：编号、用户、结果、模型"),
    "column.at": ("time", "时间"),
    "column.id": ("request", "请求"),
    "column.user": ("user", "用户"),
    "column.status": ("code", "状态"),
    "column.outcome": ("outcome", "结果"),
    "column.duration": ("seconds", "秒"),
    "column.ttft": ("TTFT ms", "首字ms"),
    "column.queue": ("queue ms", "排队ms"),
    "column.rate": ("tok/s", "词元/秒"),
    "column.input": ("in", "输入"),
    "column.output": ("out", "输出"),
    "detail.title": ("Request {id}", "请求 {id}"),
    "detail.missing": (
        "The record has no request {id}. It may still be on its way.",
        "记录中没有请求 {id}，可能仍在写入。",
    ),
    "detail.looking": ("Looking for {id} ...", "正在查找 {id} ……"),
    "detail.phases": (
        "queue {queue} ms, prefill {prefill} ms, decode {decode} ms",
        "排队 {queue} ms，预填充 {prefill} ms，解码 {decode} ms",
    ),
    # Chat
    "chat.welcome": (
        "Ask the model something. Enter sends, Ctrl-J starts a new line, Esc stops an answer.",
        "向模型提问。Enter 发送，Ctrl-J 换行，Esc 停止回答。",
    ),
    "chat.try": ("For example:", "例如："),
    "chat.question.1": ("What is a service level objective?", "什么是服务等级目标（SLO）？"),
    "chat.question.2": ("Why is the first token slower than the next ones?", "为什么第一个词元比后面的慢？"),
    "chat.question.3": ("Write a haiku about a busy GPU.", "写一首关于忙碌 GPU 的俳句。"),
    "chat.demo": (
        "This is the small demo model that ships with llmops: it proves the road, not wit. "
        "Serve a real one:  llmops serve <hub name or folder>",
        "这是 llmops 自带的小型演示模型，只用于验证链路。使用真实模型：  llmops serve <模型名或目录>",
    ),
    "chat.unreachable": ("No serve at {url}. Start one:  llmops serve", "{url} 没有服务。请启动：  llmops serve"),
    "chat.you": ("you", "你"),
    "chat.waiting": ("waiting for the first token ...", "等待第一个词元 ……"),
    "chat.meta": (
        "TTFT {ttft} ms  {rate} tok/s  {input} in {output} out  {finish}  r {id}",
        "首词元 {ttft} ms  {rate} 词元/秒  输入 {input} 输出 {output}  {finish}  r {id}",
    ),
    "chat.commands": (
        "/system TEXT and /temperature 0.7 change how it answers; /help lists all commands.",
        "/system 文本 与 /temperature 0.7 可改变回答方式；/help 列出全部命令。",
    ),
    "chat.context": ("context {used}/{limit}", "上下文 {used}/{limit}"),
    "chat.system": ("system prompt: {text}", "系统提示：{text}"),
    "chat.no_system": ("none", "无"),
    "chat.server": ("(server)", "（服务端默认）"),
    "chat.left_out": (
        "The model no longer sees the {count} oldest turns: with them the conversation exceeds its context of {limit} "
        "tokens. /new starts afresh.",
        "模型不再看到最早的 {count} 轮对话：加上它们会超出 {limit} 个词元的上下文。/new 重新开始。",
    ),
    "chat.near_end": (
        "The conversation nears the end of the model's context ({used} of {limit} tokens, {reserve} of them kept for "
        "the answer): the oldest turns will be left out soon.",
        "对话接近模型上下文的末尾（已用 {used}/{limit} 个词元，其中 {reserve} 个留给回答）：最早的轮次即将被省略。",
    ),
    "chat.too_long": (
        "This message is {over} tokens too long: with the system prompt it has {tokens}, and the model takes {limit} "
        "for question and answer. Shorten it.",
        "这条消息超长 {over} 个词元：连同系统提示共 {tokens} 个，而模型的问答合计上限为 {limit} 个。请缩短。",
    ),
    "chat.short_answer": (
        "The answer may have {tokens} tokens at most: the question fills the rest of the context.",
        "回答最多 {tokens} 个词元：其余上下文已被问题占用。",
    ),
    "chat.cut": (
        "The answer was cut off at its limit of {tokens} tokens. /max_tokens sets another limit.",
        "回答在 {tokens} 个词元的上限处被截断。可用 /max_tokens 修改上限。",
    ),
    "chat.cut.context": (
        "The answer was cut off after {tokens} tokens: the model's context of {limit} tokens is full.",
        "回答在 {tokens} 个词元后被截断：模型 {limit} 个词元的上下文已满。",
    ),
    "chat.bad": (
        "{name} must be a number from {least} to {most}, not {value}.",
        "{name} 必须是 {least} 到 {most} 之间的数，而不是 {value}。",
    ),
    "chat.bad.above": (
        "{name} must be a number above {least} and at most {most}, not {value}.",
        "{name} 必须大于 {least} 且不超过 {most}，而不是 {value}。",
    ),
    "chat.bad.whole": (
        "{name} must be a whole number from {least} to {most}, not {value}.",
        "{name} 必须是 {least} 到 {most} 之间的整数，而不是 {value}。",
    ),
    "chat.unknown": (
        "There is no command /{name}.{near} /help lists them; // sends a message that begins with a slash.",
        "没有命令 /{name}。{near}/help 列出全部命令；以 // 开头可发送以斜杠开头的消息。",
    ),
    "chat.near": (" Did you mean /{name}?", "是否想用 /{name}？"),
    "command.system": ("text that stands before the conversation; off removes it", "置于对话之前的文本；off 去除"),
    "command.temperature": ("0 to 2, 0 is greedy; default: the server's", "0 到 2，0 为贪心；default 为服务端默认"),
    "command.top_p": ("above 0, at most 1", "大于 0，不超过 1"),
    "command.top_k": ("1 or more", "1 或更大"),
    "command.max_tokens": ("longest answer", "回答的最大长度"),
    "command.seed": ("the same seed gives the same answer", "相同的种子得到相同的回答"),
    "command.settings": ("what holds now", "当前设置"),
    "command.new": ("start afresh, with the same settings", "以相同设置重新开始"),
    "command.help": ("this list", "本列表"),
    "chat.stopped": ("stopped", "已停止"),
    "chat.no_answer": ("(empty answer)", "（空回答）"),
    "chat.placeholder": ("Write to the model", "输入消息"),
    "chat.busy": ("An answer is on its way: Esc stops it.", "正在回答：按 Esc 停止。"),
    "chat.link": ("Link, not opened: {url}", "链接（未打开）：{url}"),
    "error.refused": ("Refused: {reason}", "被拒绝：{reason}"),
    "error.retry": (" Try again in {seconds} s.", " 请在 {seconds} 秒后重试。"),
    "error.unreachable": (
        "No answer from {url}: {reason}. Is llmops serve running?",
        "{url} 无响应：{reason}。llmops serve 在运行吗？",
    ),
    "error.broken": ("The answer broke off: {reason}", "回答中断：{reason}"),
    # Notes
    "note.copied": ("Copied: {what}", "已复制：{what}"),
    "note.nothing_to_copy": ("Nothing to copy here", "这里没有可复制的内容"),
    "note.refresh": ("Refresh every {seconds} s", "每 {seconds} 秒刷新"),
    "note.theme": ("Theme {name}", "主题 {name}"),
    "note.feed": ("The store could not be read: {reason}", "无法读取存储：{reason}"),
    # Keys
    "help.title": ("Keys", "按键"),
    "help.everywhere": ("Everywhere", "通用"),
    "help.overview": ("Overview", "总览"),
    "help.list": ("In lists", "列表"),
    "help.chat": ("Chat", "对话"),
    "help.commands": ("Chat commands", "对话命令"),
    "help.hint": ("Single letters never fire while you write. Esc closes.", "输入文字时单字母按键不生效。Esc 关闭。"),
    "key.quit": ("quit", "退出"),
    "key.help": ("help", "帮助"),
    "key.overview": ("overview", "总览"),
    "key.chat": ("chat", "对话"),
    "key.next_screen": ("next screen", "下一屏"),
    "key.palette": ("command palette", "命令面板"),
    "key.pause": ("pause", "暂停"),
    "key.faster": ("refresh faster", "加快刷新"),
    "key.slower": ("refresh slower", "减慢刷新"),
    "key.theme": ("theme", "主题"),
    "key.copy": ("copy", "复制"),
    "key.alerts": ("alerts", "告警"),
    "key.back": ("back", "返回"),
    "key.filter": ("filter", "过滤"),
    "key.sort": ("sort", "排序"),
    "key.down": ("down", "下移"),
    "key.up": ("up", "上移"),
    "key.top": ("first", "首行"),
    "key.bottom": ("last", "末行"),
    "key.open": ("open", "打开"),
    "key.send": ("send", "发送"),
    "key.newline": ("new line", "换行"),
    "key.stop": ("stop / leave", "停止/离开"),
    "key.new": ("new chat", "新对话"),
    "key.write": ("write", "输入"),
    "key.close": ("close", "关闭"),
}


class Words:
    """The strings of one language."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self._index = 0 if language == "en" else 1

    def __call__(self, name: str, /, **values: object) -> str:
        """The string `name` with its `values` filled in."""
        text = _STRINGS[name][self._index]
        return text.format(**values) if values else text

    def knows(self, name: str) -> bool:
        """Is there such a string?"""
        return name in _STRINGS


def choose(setting: Literal["auto", "en", "zh"], locale: str) -> Language:
    """The setting, or what the locale (`zh_CN.UTF-8`) asks for."""
    if setting != "auto":
        return setting
    return "zh" if locale.lower().startswith("zh") else "en"


def system_locale() -> str:
    """The locale of this terminal: the first of LC_ALL, LC_MESSAGES, LANG that is set."""
    return next((value for name in ("LC_ALL", "LC_MESSAGES", "LANG") if (value := os.environ.get(name))), "en")
