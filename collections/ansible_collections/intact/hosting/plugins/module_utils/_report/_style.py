# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The page's style: light and dark, wide, narrow and printed. No font, picture or sheet from elsewhere."""

from __future__ import annotations

LIGHT = {
    "bg": "#f5f5f2",
    "surface": "#ffffff",
    "ink": "#1b1f24",
    "muted": "#57606a",
    "line": "#dfe1e5",
    "track": "#eceef1",
    "ok": "#17733f",
    "bad": "#b3261e",
    "warn": "#8a5a00",
    "run": "#1a5fb4",
    "hold": "#6741a5",
    "stage": "#5b7ea6",
    "look": "#a9b8c9",
    "away": "#d07a1f",
}
DARK = {
    "bg": "#121518",
    "surface": "#1b1f24",
    "ink": "#e6e8eb",
    "muted": "#a4adb8",
    "line": "#323941",
    "track": "#2a3038",
    "ok": "#58c98d",
    "bad": "#ff8a80",
    "warn": "#e6b450",
    "run": "#7ab5ff",
    "hold": "#c0a5f5",
    "stage": "#7fa4cf",
    "look": "#55677c",
    "away": "#d99a4e",
}


def _variables(colours):
    return "".join("--%s:%s;" % pair for pair in sorted(colours.items()))


SHEET = """
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--bg);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI","Noto Sans","DejaVu Sans",sans-serif;
overflow-wrap:anywhere}
main,header,footer{max-width:1160px;margin:0 auto;padding:0 24px}
h1,h2,h3,p{margin:0}
a{color:inherit}
h2{font-size:1.25rem;font-weight:650;margin:44px 0 14px;letter-spacing:-.01em}
h3{font-size:1rem;font-weight:650;margin:0 0 10px}
code,.mono{font:0.9em/1.45 ui-monospace,"SF Mono","Cascadia Mono","DejaVu Sans Mono",monospace}
.muted{color:var(--muted)}
.small{font-size:.875rem}
.num{font-variant-numeric:tabular-nums;white-space:nowrap}
header{display:flex;justify-content:space-between;gap:4px 24px;flex-wrap:wrap;padding-top:20px;padding-bottom:14px;color:var(--muted);font-size:.875rem}
header strong{color:var(--ink);letter-spacing:.02em}
.verdict{background:var(--surface);border:1px solid var(--line);border-left:6px solid var(--tone);border-radius:10px;padding:20px 24px}
.verdict h1{font-size:2.1rem;line-height:1.15;letter-spacing:.01em;color:var(--tone);font-weight:750}
.verdict .sentence{font-size:1.15rem;margin-top:4px}
.verdict ul{margin:12px 0 0;padding-left:20px}
.verdict .caveats{margin:12px 0 0;padding:0;list-style:none;font-size:.9rem}
.caveats li{padding:3px 0 3px 22px;position:relative}
.caveats li::before{content:"!";position:absolute;left:2px;top:7px;width:14px;height:14px;border-radius:50%;background:var(--warn);
color:var(--surface);font:700 10px/14px system-ui,sans-serif;text-align:center}
.intact{--tone:var(--ok)}.loss,.failed{--tone:var(--bad)}.running{--tone:var(--run)}.refused{--tone:var(--hold)}
.tiles{display:grid;grid-template-columns:repeat(4,1fr);gap:14px;margin-top:14px}
.tile,.panel{background:var(--surface);border:1px solid var(--line);border-radius:10px;padding:14px 18px;min-width:0}
.tile .label{color:var(--muted);font-size:.85rem}
.tile .value{font-size:1.55rem;font-weight:680;line-height:1.25;letter-spacing:-.01em;font-variant-numeric:tabular-nums}
.tile .note{color:var(--muted);font-size:.85rem}
.good{color:var(--ok)}.bad{color:var(--bad)}.warn{color:var(--warn)}
.pair{display:grid;grid-template-columns:1fr 1fr;gap:14px;margin-top:14px;align-items:start}
.panel{padding:16px 18px}
.bars{display:grid;grid-template-columns:minmax(90px,auto) minmax(40px,1fr) auto;gap:5px 12px;align-items:center;font-size:.9rem}
.bars .name{overflow-wrap:anywhere;line-height:1.3}
.bar{height:10px;border-radius:5px;background:var(--track);position:relative;overflow:hidden}
.bar i{display:block;height:100%;border-radius:5px;background:var(--fill,var(--stage));min-width:2px}
.bars+.muted{margin-top:10px}
.panel>details{margin-top:4px}
.away{--fill:var(--away)}.over{--fill:var(--bad)}.planned{--fill:var(--look)}
details>summary{cursor:pointer;color:var(--muted);font-size:.9rem;padding:6px 0}
details>summary:hover{color:var(--ink)}
summary:focus-visible,a:focus-visible{outline:2px solid var(--run);outline-offset:2px;border-radius:3px}
nav{margin-top:22px;font-size:.9rem;display:flex;flex-wrap:wrap;gap:4px 18px;color:var(--muted)}
.scroll{overflow-x:auto}
.timeline{min-width:860px;width:100%;height:auto;display:block;font:12px system-ui,"DejaVu Sans",sans-serif}
.timeline text{fill:var(--ink)}.timeline .dim{fill:var(--muted)}
.timeline .grid{stroke:var(--line);stroke-width:1}.timeline .mark{stroke:var(--muted);stroke-width:1;stroke-dasharray:3 3}
.timeline .lane{fill:var(--track)}.timeline .ok{fill:var(--stage)}.timeline .failed{fill:var(--bad)}.timeline .running{fill:var(--run)}
.timeline .skipped{fill:var(--look)}
.timeline .out{fill:var(--away)}.timeline .maint{fill:var(--look)}.timeline .dot{fill:var(--surface);
stroke:var(--muted)}.timeline .dot.go{stroke:var(--ok)}.timeline .dot.no{stroke:var(--bad)}
.legend{columns:2;column-gap:28px;font-size:.875rem;margin:12px 0 0;padding:0;list-style:none}
.legend li{break-inside:avoid;padding:2px 0}
.badge{display:inline-block;font-size:.75rem;font-weight:650;letter-spacing:.03em;padding:1px 8px;border-radius:10px;border:1px solid currentColor;
white-space:nowrap}
.finding{padding:12px 0;border-top:1px solid var(--line)}
.finding:first-of-type{border-top:0}
.finding p{margin-top:3px}
.finding .head{display:flex;gap:4px 10px;flex-wrap:wrap;align-items:baseline}
.section{border-top:1px solid var(--line)}
.section>summary{display:grid;grid-template-columns:130px 190px 1fr;gap:4px 14px;align-items:baseline;padding:9px 0;color:var(--ink);list-style-position:inside}
.section>summary::-webkit-details-marker,.section>summary::marker{color:var(--muted)}
.section .body{padding:0 0 16px 18px}
table{border-collapse:collapse;width:100%;font-size:.9rem}
th{text-align:left;font-weight:600;color:var(--muted);font-size:.8rem;padding:4px 14px 4px 0;vertical-align:bottom}
td{padding:5px 14px 5px 0;border-top:1px solid var(--line);vertical-align:top}
td,th{overflow-wrap:break-word}
th{white-space:nowrap}
.scroll>table{min-width:420px}
.plain{margin:4px 0 0;padding-left:18px}
footer{color:var(--muted);font-size:.8rem;padding-top:36px;padding-bottom:40px}
@media(max-width:900px){.pair{grid-template-columns:1fr}.tiles{grid-template-columns:1fr 1fr}}
@media(max-width:600px){
main,header,footer{padding-left:14px;padding-right:14px}
.verdict{padding:16px}.verdict h1{font-size:1.7rem}.verdict .sentence{font-size:1.02rem}
.tiles{gap:8px}.tile{padding:10px 12px}.tile .value{font-size:1.2rem}.panel{padding:14px 12px}
.bars{gap:4px 8px;font-size:.85rem;grid-template-columns:minmax(80px,38%) minmax(20px,1fr) auto}
.section>summary{grid-template-columns:1fr auto}.section>summary .figures{grid-column:1/-1}
.legend{columns:1}.section .body{padding-left:0}
td,th{padding-right:8px}
}
@media print{
body{background:#fff;font-size:12px}main,header,footer{max-width:none;padding:0}
details::details-content{content-visibility:visible;display:block}
.scroll{overflow:visible}.timeline{min-width:0}.tile,.panel,.verdict,.finding,tr{break-inside:avoid}nav{display:none}
}
"""


def sheet():
    """The whole style sheet; print is always light."""
    return ":root{color-scheme:light dark;%s}@media screen and (prefers-color-scheme:dark){:root{%s}}%s" % (_variables(LIGHT), _variables(DARK), SHEET)
