"""CustomerService: who a customer is, how they want to be spoken to, what is known of them, what was promised."""
