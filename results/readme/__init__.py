"""README.md and the pages of results quote hundreds of numbers. This package writes them.

    python -m results.readme            # writes every marked block of the READMEs anew, from the committed data
    python -m results.readme --check    # exit code 1 where a block is not what the data say

A block stands between `<!-- generated: NAME -->` and `<!-- end of NAME -->`. Its text, sentences included, is made by
the function of that name in the module of its page (`main_page`, `results_page`, ...): numbers come from `numbers`,
comparisons are computed or claimed, and a claim that the data no longer bear is an error. Passages whose numbers come
from no committed file stand between `<!-- numbers from: SOURCE -->` and `<!-- end of numbers -->`. Everywhere else a
number that looks measured is a mistake, unless `constants` says that it is none.
"""
