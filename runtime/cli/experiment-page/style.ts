/** The look of the page: one column on a phone, light and dark as the reader has it, nothing loaded from anywhere. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --page: #f6f6f4; --card: #ffffff; --ink: #1b1d22; --soft: #646a76; --rule: #e3e4e1;
  --good: #0e7a4f; --good-wash: #e2f3ea; --bad: #b3261e; --bad-wash: #fbe6e3; --calm: #3c5a99; --calm-wash: #e8edf8; --wait: #7a5b00; --wait-wash: #fbf1d3;
  --arm-0: #7a808c; --arm-1: #2f6fde; --arm-2: #d2571b; --arm-3: #8a3fc7; --arm-4: #0f8a80; --arm-5: #b8861b;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14161a; --card: #1d2026; --ink: #eceef2; --soft: #9aa1ae; --rule: #30343d;
    --good: #57c792; --good-wash: #163326; --bad: #ff8a80; --bad-wash: #3d1d1b; --calm: #9db8f2; --calm-wash: #1f2a40; --wait: #e6c35c; --wait-wash: #352c12;
    --arm-0: #9aa1ae; --arm-1: #6fa2ff; --arm-2: #ff9a66; --arm-3: #c796f2; --arm-4: #4ec9be; --arm-5: #e2b755;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; -webkit-text-size-adjust: 100%; }
main { max-width: 920px; margin: 0 auto; padding: 28px 20px 56px; }
header p { margin: 0; color: var(--soft); font-size: 14px; }
h1 { margin: 2px 0 6px; font-size: 28px; line-height: 1.2; letter-spacing: -0.01em; overflow-wrap: anywhere; }
h2 { margin: 0 0 2px; font-size: 17px; letter-spacing: -0.005em; }
section { background: var(--card); border: 1px solid var(--rule); border-radius: 14px; padding: 18px 20px; margin-top: 16px; }
.note { margin: 0 0 12px; color: var(--soft); font-size: 14px; }
.verdict { border-left: 6px solid var(--accent); background: var(--wash); border-radius: 14px; padding: 18px 20px; margin-top: 18px; }
.verdict b { display: block; color: var(--accent); font-size: 13px; letter-spacing: 0.06em; text-transform: uppercase; }
.verdict p { margin: 4px 0 0; font-size: 20px; line-height: 1.4; text-wrap: pretty; }
.winner { --accent: var(--good); --wash: var(--good-wash); }
.mismatch, .guardrail, .loser { --accent: var(--bad); --wash: var(--bad-wash); }
.open { --accent: var(--calm); --wash: var(--calm-wash); }
.waiting { --accent: var(--wait); --wash: var(--wait-wash); }
.arms { display: grid; grid-template-columns: repeat(auto-fit, minmax(200px, 1fr)); gap: 12px; margin-top: 16px; }
.arm { background: var(--card); border: 1px solid var(--rule); border-top: 4px solid var(--own); border-radius: 14px; padding: 14px 18px; }
.arm h3 { margin: 0; font-size: 15px; overflow-wrap: anywhere; }
.arm .big { font-size: 30px; font-weight: 650; line-height: 1.25; font-variant-numeric: tabular-nums; letter-spacing: -0.02em; }
.arm p { margin: 0; color: var(--soft); font-size: 14px; }
.arm .change { color: var(--ink); }
.key { display: flex; flex-wrap: wrap; gap: 4px 16px; margin: 0 0 8px; padding: 0; list-style: none; font-size: 14px; color: var(--soft); }
.key li::before { content: ""; display: inline-block; width: 10px; height: 10px; border-radius: 3px; background: var(--own); margin-right: 6px; }
svg { display: block; width: 100%; height: auto; overflow: visible; }
.grid { stroke: var(--rule); stroke-width: 1; }
.zero { stroke: var(--soft); stroke-width: 1.5; stroke-dasharray: 4 4; }
.tick { fill: var(--soft); font-size: 12px; font-variant-numeric: tabular-nums; }
.end { text-anchor: end; } .middle { text-anchor: middle; }
.band { fill: var(--own); opacity: 0.16; }
.line { fill: none; stroke: var(--own); stroke-width: 2.25; stroke-linejoin: round; }
.dot { fill: var(--own); stroke: var(--card); stroke-width: 1.5; }
.range { fill: var(--own); opacity: 0.45; }
.limit { stroke: var(--ink); stroke-width: 1.5; stroke-dasharray: 3 3; }
.interval { min-width: 120px; max-width: 260px; }
.rail { display: grid; grid-template-columns: 130px 1fr 260px 150px; gap: 4px 16px; align-items: center; padding: 10px 0; border-top: 1px solid var(--rule); font-size: 14px; }
.rail small { color: var(--soft); font-size: 13px; } .rail .outcome { text-align: right; }
.step { margin-top: 12px; } .step h3 { margin: 0 0 4px; font-size: 14px; font-weight: 600; overflow-wrap: anywhere; }
.bar { display: grid; grid-template-columns: minmax(70px, 120px) 1fr 138px; gap: 10px; align-items: center; font-size: 14px; margin: 3px 0; }
.bar span:first-child { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; color: var(--soft); }
.bar span:last-child { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.track { height: 14px; border-radius: 7px; background: var(--page); overflow: hidden; }
.fill { height: 100%; border-radius: 7px; background: var(--own); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 13px; font-variant-numeric: tabular-nums; }
th { text-align: left; color: var(--soft); font-weight: 500; padding: 6px 10px 6px 0; border-bottom: 1px solid var(--rule); vertical-align: bottom; }
td { padding: 8px 10px 8px 0; border-bottom: 1px solid var(--rule); vertical-align: middle; white-space: nowrap; }
td.name { min-width: 80px; max-width: 170px; white-space: normal; overflow-wrap: anywhere; }
tr:last-child td { border-bottom: 0; }
.mark { display: inline-block; padding: 1px 9px; border-radius: 999px; font-size: 13px; font-weight: 600; color: var(--accent); background: var(--wash); }
.pass, .better { --accent: var(--good); --wash: var(--good-wash); } .fail, .worse { --accent: var(--bad); --wash: var(--bad-wash); } .hold { --accent: var(--wait); --wash: var(--wait-wash); }
ul.plain { margin: 0; padding-left: 18px; font-size: 15px; } ul.plain li { overflow-wrap: anywhere; }
details summary { cursor: pointer; font-weight: 600; } details[open] summary { margin-bottom: 8px; }
footer { margin-top: 20px; color: var(--soft); font-size: 13px; }
@media (max-width: 560px) { main { padding: 18px 12px 40px; } section { padding: 14px; } h1 { font-size: 23px; } .verdict p { font-size: 18px; } .tick { font-size: 22px; } .line { stroke-width: 3.5; } .bar { grid-template-columns: 72px 1fr 116px; font-size: 13px; } .rail { grid-template-columns: 1fr auto; } .rail .plot { grid-column: 1 / -1; } .rail .plot svg { max-width: none; } .rail .outcome { grid-column: 1 / -1; text-align: left; } .rail .outcome br { display: none; } }
@media print { body { background: #fff; } section, .arm { break-inside: avoid; } }
`;
