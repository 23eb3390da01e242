/** The page's only style sheet: light and dark by the reader's system, one column on a phone. */
import { darkRules } from "../palette.ts";

export const style: string = `
:root{color-scheme:light dark;--text:#1b1f23;--muted:#59616a;--line:#d9dde2;--paper:#fff;--raised:#f5f7f9;--accent:#0072b2;--good:#00704f;--bad:#b34700}
*{box-sizing:border-box}
body{margin:0 auto;max-width:1180px;padding:24px 18px 80px;background:var(--paper);color:var(--text);
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
h1{font-size:1.7rem;line-height:1.2;margin:.2em 0 .3em}h2{font-size:1.3rem;margin:2.2em 0 .5em;padding-top:.6em;border-top:1px solid var(--line)}
h3{font-size:1.05rem;margin:1.6em 0 .4em}p,li{max-width:46em}small,.muted{color:var(--muted)}
a{color:var(--accent)}
nav{font-size:.9rem;display:flex;flex-wrap:wrap;gap:.2em 1.1em}
.verdicts{background:var(--raised);border-radius:8px;padding:12px 18px;margin:16px 0}.verdicts ul{margin:.4em 0;padding-left:1.2em}
.wins{color:var(--good);font-weight:600}.loses{color:var(--bad);font-weight:600}
.table{overflow-x:auto;margin:.8em 0;border:1px solid var(--line);border-radius:8px}
table{border-collapse:collapse;width:100%;font-size:.88rem;font-variant-numeric:tabular-nums}
caption{caption-side:top;text-align:left;padding:10px 12px 4px;font-weight:600}
th,td{padding:7px 10px;text-align:right;vertical-align:top;white-space:nowrap;border-top:1px solid var(--line)}
thead th{border-top:0;color:var(--muted);font-weight:600;vertical-align:bottom}
th[scope=row],thead th:first-child{text-align:left;position:sticky;left:0;background:var(--paper);font-weight:600}
th[scope=row]{white-space:normal;min-width:11em;max-width:22em}th[scope=row] small{font-weight:400;display:block}
td small{display:block}
tr.leader th,tr.leader td{background:var(--raised)}tr.reference th,tr.reference td{color:var(--muted)}
td.text{text-align:left;white-space:normal;min-width:12em}
details{margin:.8em 0}summary{cursor:pointer;color:var(--accent)}
.charts{display:flex;flex-wrap:wrap;gap:18px 26px;margin:.8em 0}
figure{margin:.8em 0;max-width:100%}figcaption{font-size:.85rem;color:var(--muted)}
svg{max-width:100%;height:auto;display:block}
.wide{overflow-x:auto}.wide svg{min-width:640px}
@media (max-width:600px){body{padding:14px 12px 60px;font-size:15px}th,td{padding:6px 8px}
th[scope=row]{min-width:8.5em}}
@media (prefers-color-scheme:dark){:root{--text:#e8eaed;--muted:#a3abb3;--line:#343a41;--paper:#15181b;--raised:#1e2327;--accent:#7cc4f0;--good:#4fd3a8;--bad:#ff9d5c}
${darkRules}}
@media print{details{display:block}nav{display:none}}
`;
