"""Writes questions.parquet beside it, as another hand than ours would: pyarrow 26.0.1, Zstandard, dictionary pages, two row groups."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

rows = [
    {"question": "Which planet is the largest?", "choices": ["Mars", "Jupiter", "Venus", "Earth"], "answer": 1},
    {"question": "Which metal is liquid at 20 °C?", "choices": ["iron", "gold", "mercury", "tin"], "answer": 2},
    {"question": "How many bonds does carbon form?", "choices": ["4", "3", "2", "1"], "answer": 0},
]
table = pa.Table.from_pylist(rows, schema=pa.schema([("question", pa.string()), ("choices", pa.list_(pa.string())), ("answer", pa.int64())]))
pq.write_table(table, Path(__file__).parent / "questions.parquet", compression="zstd", row_group_size=2)
