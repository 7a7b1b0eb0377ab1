// The style sheet of the report. Private to report.cpp.
#pragma once

#include <string_view>

namespace headpond::billing {

inline constexpr std::string_view kReportStyle = R"CSS(
:root{color-scheme:light dark;--bg:#f6f8fa;--card:#fff;--ink:#17202b;--soft:#5b6776;--line:#dfe4ea;--accent:#0b6bcb;--warn-bg:#fff4dc;--warn:#8a5a00;
--ok-bg:#e2f5ea;--ok:#12693a;--s0:#0b6bcb;--s1:#12a594;--s2:#e2881b;--s3:#8353d6;--s4:#d6407a;--s5:#a3aebb}
@media (prefers-color-scheme:dark){:root{--bg:#10161d;--card:#18212b;--ink:#e8edf3;--soft:#9aa7b6;--line:#2b3743;--accent:#62b0ff;--warn-bg:#3a2c0c;
--warn:#ffd27a;--ok-bg:#12351f;--ok:#7fdda4;--s0:#4aa3ff;--s1:#2cc4b2;--s2:#f2a541;--s3:#a983f0;--s4:#f0689d;--s5:#6c7a89}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
main{max-width:1040px;margin:0 auto;padding:32px 20px 56px}
header{display:flex;flex-wrap:wrap;justify-content:space-between;align-items:flex-end;gap:12px;margin-bottom:20px}
.eyebrow{color:var(--soft);font-size:13px;letter-spacing:.04em;text-transform:uppercase}
h1{font-size:28px;line-height:1.2;margin:2px 0 0;font-weight:650}
h2{font-size:17px;margin:0 0 12px;font-weight:650}
h2 small{font-weight:400;color:var(--soft);font-size:13px;margin-left:6px}
.badge{border-radius:999px;padding:4px 14px;font-weight:600;font-size:13px;background:var(--ok-bg);color:var(--ok)}
.badge.open{background:var(--warn-bg);color:var(--warn)}
.note{background:var(--warn-bg);color:var(--warn);border-radius:10px;padding:12px 16px;margin-bottom:16px}
.cards{display:grid;grid-template-columns:1.5fr 1fr 1fr 1fr;gap:12px;margin-bottom:16px}
.card,section{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:16px 18px}
.card b{display:block;font-size:24px;line-height:1.25;font-weight:650;font-variant-numeric:tabular-nums}
.card.main b{font-size:34px;color:var(--accent)}
.card span,.card em{color:var(--soft);font-size:13px;font-style:normal;display:block}
section{margin-bottom:16px;overflow-x:auto}
svg{display:block;width:100%;height:auto}
.grid{stroke:var(--line);stroke-width:1}.base{stroke:var(--soft);stroke-width:1}
.axis{fill:var(--soft);font-size:12px;font-family:inherit}
.s0{fill:var(--s0)}.s1{fill:var(--s1)}.s2{fill:var(--s2)}.s3{fill:var(--s3)}.s4{fill:var(--s4)}.s5{fill:var(--s5)}
.legend{display:flex;flex-wrap:wrap;gap:4px 18px;margin:8px 0 0;padding:0;list-style:none;color:var(--soft);font-size:13px}
.legend svg{display:inline-block;width:10px;height:10px;margin-right:6px}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:6px 10px 6px 0;border-bottom:1px solid var(--line);vertical-align:middle}
th{color:var(--soft);font-weight:500;font-size:13px}
tr:last-child td{border-bottom:0}
tfoot td{font-weight:650;border-top:2px solid var(--line)}
.n{text-align:right;padding-right:0;padding-left:14px;white-space:nowrap}
.share{width:26%;min-width:120px}
.share span{display:flex;align-items:center;gap:8px;color:var(--soft);font-size:13px}
.share i{display:block;height:10px;border-radius:3px;background:var(--accent);min-width:2px}
.soft{color:var(--soft);font-size:13px}
code{font:12.5px/1.4 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;overflow-wrap:anywhere}
dl{display:grid;grid-template-columns:max-content 1fr;gap:4px 18px;margin:0 0 12px}
dt{color:var(--soft)}dd{margin:0}
p{margin:0 0 10px}
footer{color:var(--soft);font-size:13px;margin-top:20px}
@media (max-width:720px){.cards{grid-template-columns:1fr 1fr}.card.main{grid-column:1/-1}.share{display:none}.chart>svg{min-width:680px}}
@page{margin:14mm}
@media print{:root{--bg:#fff;--card:#fff;--ink:#000;--soft:#444;--line:#ccc;--accent:#0b6bcb;--warn-bg:#fff4dc;--warn:#8a5a00;--ok-bg:#e2f5ea;
--ok:#12693a;--s0:#0b6bcb;--s1:#12a594;--s2:#e2881b;--s3:#8353d6;--s4:#d6407a;--s5:#a3aebb;color-scheme:light}
body{font-size:11px;-webkit-print-color-adjust:exact;print-color-adjust:exact}main{max-width:none;padding:0 1px}
.card,section{border-radius:6px;padding:10px 12px}section{overflow:visible}
.card b{font-size:17px}.card.main b{font-size:24px}h1{font-size:21px}h2{font-size:13px}
tr,.card,svg,.chart{break-inside:avoid}h2{break-after:avoid}thead{display:table-header-group}th,td{padding-top:3px;padding-bottom:3px}
.soft,th,.share span,.card span,.card em,.legend,footer,.eyebrow{font-size:10px}code{font-size:9.5px}}
)CSS";

}  // namespace headpond::billing
