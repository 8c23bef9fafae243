"""Other programs: scikit-learn, JSON, polars and pyarrow, lme4.

Page: ``docs/how-to/other-libraries.md``.
"""
