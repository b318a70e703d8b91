"""Balances: what a relationship is worth to a party, in one view (reciprocity.md). Pure: no clock, no input or output.

`book.Book` keeps the exchanges of one relationship, `view.BalanceView` names a point of view, an `Opinion` gives the
rates; `numbers.balance` makes the numbers, `viewed.legs_in_view` the legs they rest on.
"""
