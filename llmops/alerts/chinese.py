"""Every sentence that people read in an alert, in Chinese; `sentences` has the same table."""

from __future__ import annotations

from collections.abc import Mapping

CHINESE: Mapping[str, str] = {
    "as_is": "{text}",
    "several": "{parts}",
    "and": "；",
    "serve_down": "服务已停止",
    "serve_down.unreachable": "serve 没有应答：{why}",
    "serve_down.engine": "serve 有应答，但推理引擎已停止",
    "serve_down.crashed": "serve 崩溃后已重新启动",
    "serve_down.up": "serve 应答正常",
    "serve_down.waiting": "serve 正处于 {state} 状态",
    "vram": "显存即将用尽",
    "vram.above": "{device} 已用显存 {value:.0%}（上限 {threshold:.0%}）",
    "vram.below": "{device} 已用显存 {value:.0%}",
    "vram.unknown": "没有任何显卡的显存采样",
    "journal_full": "日志已满或无法写入",
    "journal_full.stuck": "{writer} 的日志无法写入（{why}），{waiting} 个事件在内存中等待",
    "journal_full.cap": "日志占用 {used}，上限 {most}，且尚未全部读取：接下来会删除未读的事件",
    "journal_full.calm": "日志写入正常，占用 {used}，上限 {most}",
    "record_lost": "记录中有事件丢失",
    "record_lost.writer": "{writer} 丢失的事件：{count} 个",
    "record_lost.removed": "日志达到硬上限，未被全部读取就已删除的事件：{count} 个",
    "record_lost.calm": "没有新的事件丢失",
    "slo.page": "{objective}：错误预算消耗很快",
    "slo.ticket": "{objective}：错误预算正在消耗",
    "slo.burning": (
        "最近 {window} 允许 {allowed} 次失败，已用 {used} 次；预算消耗速度在 {window_long} 内为允许值的 {long:.1f} 倍，"
        "在 {window_short} 内为 {short:.1f} 倍（上限 {threshold:g} 倍）"
    ),
    "slo.ahead": "照此速度，预算将在 {span}后用尽",
    "slo.spent": "预算已用尽",
    "span.d": "{count} 天",
    "span.h": "{count} 小时",
    "span.min": "{count} 分钟",
    "slo.calm": "最近 {window} 允许 {allowed} 次失败，已用 {used} 次",
    "slo.no_data": "没有可供判断的请求",
    "slo.held": "目前无法判断：{why}",
    "held.serve_down": "服务已停止",
    "held.page": "该目标已有紧急告警",
    "held.uncounted": "记录无法统计",
    "held.behind": "日志仍在读取中",
    "not_judged": "该规则已不再判断",
    "objective.success": "请求成功",
    "objective.duration": "请求在 {threshold:g} 秒内完成",
    "objective.ttft": "首个 token 在 {threshold:g} 秒内返回",
    "objective.probe": "探测得到应答",
    "page": "紧急",
    "ticket": "待处理",
    "firing": "触发",
    "repeat": "仍在触发",
    "resolved": "已恢复",
    "line": "{severity} {action}：{name}。{reason}。开始于 {since}{exemplars}。处理手册：{runbook}",
    "line.exemplars": "。查看：{command}",
}
